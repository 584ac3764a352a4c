package handshake

import (
	"errors"
	"strconv"
)

// Error is a fault of the peer's head. It is answered with Status (see
// [AppendError]), then the connection is closed. For faults that a client finds
// in a response Status says the kind alone: nobody is answered.
type Error struct {
	Status int    // of HTTP: 400, 405, 426, 431, 501, 505; 502 for a response that is no acceptance
	Reason string // for people; sent as the body
}

func (e *Error) Error() string {
	return "handshake: " + e.Reason + " (" + strconv.Itoa(e.Status) + ")"
}

// RefusedError is what [Head.CheckResponse] returns when the server answered
// with a proper response that is not 101. The head is at hand for the rest
// (Retry-After, WWW-Authenticate …).
type RefusedError struct {
	Status int // the server's
}

func (e *RefusedError) Error() string {
	return "handshake: refused with status " + strconv.Itoa(e.Status)
}

// Faults that callers tell apart. All others are [*Error] too.
var (
	// ErrHeadTooLarge: the head is longer than Limits.Head.
	ErrHeadTooLarge = &Error{431, "head too large"}
	// ErrTooManyHeaders: more than Limits.Headers header lines.
	ErrTooManyHeaders = &Error{431, "too many headers"}
	// ErrNotUpgrade: plain HTTP, from CheckUpgrade.
	ErrNotUpgrade = &Error{426, "this path speaks WebSocket only"}
	// ErrVersion: Sec-WebSocket-Version is not 13, from CheckUpgrade.
	ErrVersion = &Error{426, "Sec-WebSocket-Version must be 13"}
	// ErrMethod: an upgrade with another method than GET, from CheckUpgrade.
	ErrMethod = &Error{405, "a WebSocket handshake is a GET"}
)

// ErrInvalidField is returned by the Append functions for what would break the
// head they write: a header name that is no token or that the handshake writes
// itself, a value with a control character (response splitting), a subprotocol
// that is no token or stands twice, an impossible host or target.
var ErrInvalidField = errors.New("handshake: invalid header field")

// fault is an index into faults, so that a Parser holds no pointer.
type fault uint8

const (
	faultNone fault = iota
	faultMethod
	faultConnect
	faultTarget
	faultTargetForm
	faultProto
	faultProtoVersion
	faultStatusLine
	faultBareLF
	faultBareCR
	faultFold
	faultEmptyName
	faultSpaceBeforeColon
	faultName
	faultValue
	faultNoHost
	faultTwoHosts
	faultHost
	faultLength
	faultTwoLengths
	faultCoding
	faultCodingVersion
	faultLengthAndCoding
	faultChunk
	faultHeadTooLarge
	faultTooManyHeaders
)

var faults = [...]*Error{
	faultMethod:           {400, "malformed method"},
	faultConnect:          {501, "CONNECT is not supported"},
	faultTarget:           {400, "invalid character in the request target"},
	faultTargetForm:       {400, "malformed request target"},
	faultProto:            {400, "malformed HTTP version"},
	faultProtoVersion:     {505, "HTTP/1.1 is spoken here"},
	faultStatusLine:       {400, "malformed status line"},
	faultBareLF:           {400, "line not ended by CR LF"},
	faultBareCR:           {400, "CR without LF"},
	faultFold:             {400, "folded header line"},
	faultEmptyName:        {400, "empty header name"},
	faultSpaceBeforeColon: {400, "space before the colon of a header"},
	faultName:             {400, "invalid character in a header name"},
	faultValue:            {400, "control character in a header value"},
	faultNoHost:           {400, "no Host"},
	faultTwoHosts:         {400, "more than one Host"},
	faultHost:             {400, "malformed Host"},
	faultLength:           {400, "malformed Content-Length"},
	faultTwoLengths:       {400, "more than one Content-Length"},
	faultCoding:           {501, "no transfer coding but chunked is supported"},
	faultCodingVersion:    {400, "Transfer-Encoding needs HTTP/1.1"},
	faultLengthAndCoding:  {400, "Content-Length and Transfer-Encoding together"},
	faultChunk:            {400, "malformed chunk"},
	faultHeadTooLarge:     ErrHeadTooLarge,
	faultTooManyHeaders:   ErrTooManyHeaders,
}

// What CheckUpgrade finds beyond the exported ones.
var (
	errConnection      = &Error{400, "Connection does not list Upgrade"}
	errHostEmpty       = &Error{400, "empty Host"}
	errKey             = &Error{400, "Sec-WebSocket-Key must be the base64 of 16 bytes"}
	errTwoKeys         = &Error{400, "more than one Sec-WebSocket-Key"}
	errTwoVersions     = &Error{400, "more than one Sec-WebSocket-Version"}
	errTwoOrigins      = &Error{400, "more than one Origin"}
	errBody            = &Error{400, "a WebSocket handshake has no body"}
	errSubprotocol     = &Error{400, "malformed Sec-WebSocket-Protocol"}
	errSubprotocolTwin = &Error{400, "a subprotocol is offered twice"}
	errSubprotocolMany = &Error{400, "too many subprotocols offered"}
	errBearerAlone     = &Error{400, "a bearer subprotocol needs another beside it"}
	errBearerTwice     = &Error{400, "more than one bearer subprotocol"}
)

// What CheckResponse finds.
var (
	errResponseProto       = &Error{502, "response is not HTTP/1.1 or later"}
	errResponseUpgrade     = &Error{502, "response without Upgrade: websocket"}
	errResponseConnection  = &Error{502, "response without Connection: Upgrade"}
	errResponseAccept      = &Error{502, "wrong or no Sec-WebSocket-Accept"}
	errResponseSubprotocol = &Error{502, "response selects a subprotocol that was not offered"}
	errResponseExtension   = &Error{502, "response uses an extension that was not offered"}
)
