package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
)

// An Error tells a client about a mistake in its message, or why it may not stay. It contains no text from elsewhere,
// so it may be logged too.
type Error struct {
	Code    Code
	Message string // for people; empty: Code.Meaning
	Field   string // the member that is wrong, if there is one
	RoomID  string // the room that the error is about, if the client did not name it
}

// Error is for logs.
func (e *Error) Error() string {
	s := "protocol: " + string(e.Code)
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	return s + ": " + e.text()
}

func (e *Error) text() string {
	if e.Message == "" {
		return e.Code.Meaning()
	}
	return e.Message
}

// AsError returns the *Error in err. If there is none, the fault is our own, and clients are only told CodeInternal:
// log err. err must not be nil.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal}
}

// AppendError appends the message that tells a client of e: {"type":"error","code":…,"message":…}, with the field and
// the room if there are any, and with the id of the message that it answers unless that is empty.
func AppendError(dst []byte, id json.RawMessage, e *Error) []byte {
	o := NewObject(dst, TypeError).String("code", string(e.Code)).String("message", e.text())
	if e.Field != "" {
		o = o.String("field", e.Field)
	}
	if e.RoomID != "" {
		o = o.String("room_id", e.RoomID)
	}
	return o.ID(id).End()
}

func missing(field string) error {
	return &Error{Code: CodeMissingField, Message: fmt.Sprintf("The field %q is missing.", field), Field: field}
}

func wrongType(field, want string) error {
	return &Error{Code: CodeWrongType, Message: fmt.Sprintf("The field %q must be %s.", field, want), Field: field}
}

func tooLong(field string, most int) error {
	return &Error{Code: CodeTooLong, Message: fmt.Sprintf("The field %q is over %d bytes.", field, most), Field: field}
}
