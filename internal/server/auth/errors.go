package auth

import "log/slog"

// Code says why a token was refused. It is stable: clients, metrics and logs may rely on it.
type Code string

// The codes.
const (
	CodeMissing        Code = "token_missing"
	CodeConflicting    Code = "token_conflicting"
	CodeMalformed      Code = "token_malformed"
	CodeWrongAlgorithm Code = "token_wrong_algorithm"
	CodeUnknownKey     Code = "token_unknown_key"
	CodeBadSignature   Code = "token_bad_signature"
	CodeExpired        Code = "token_expired"
	CodeNotYetValid    Code = "token_not_yet_valid"
	CodeWrongAudience  Code = "token_wrong_audience"
	CodeWrongIssuer    Code = "token_wrong_issuer"
	CodeWrongSubject   Code = "token_wrong_subject"
	CodeRevoked        Code = "token_revoked"
)

// Error is the reason why a token was refused. Compare with errors.Is and the Err values, which compares only the
// code. No field ever holds a part of a token, so an Error may be logged and sent.
type Error struct {
	Code   Code
	Reason string // for people
	// Retry is set when the same token may be good in a moment, because its key is being looked for. Then a handshake
	// should be refused with 503 and Retry-After instead of 401.
	Retry bool
}

// One value for each code, for errors.Is.
var (
	ErrMissing        = &Error{Code: CodeMissing, Reason: "no token"}
	ErrConflicting    = &Error{Code: CodeConflicting, Reason: "more than one token, and they differ"}
	ErrMalformed      = &Error{Code: CodeMalformed, Reason: "not a token"}
	ErrWrongAlgorithm = &Error{Code: CodeWrongAlgorithm, Reason: "no key of this algorithm"}
	ErrUnknownKey     = &Error{Code: CodeUnknownKey, Reason: "unknown key"}
	ErrBadSignature   = &Error{Code: CodeBadSignature, Reason: "wrong signature"}
	ErrExpired        = &Error{Code: CodeExpired, Reason: "token has expired"}
	ErrNotYetValid    = &Error{Code: CodeNotYetValid, Reason: "token is not valid yet"}
	ErrWrongAudience  = &Error{Code: CodeWrongAudience, Reason: "token is for another audience"}
	ErrWrongIssuer    = &Error{Code: CodeWrongIssuer, Reason: "token is from another issuer"}
	ErrWrongSubject   = &Error{Code: CodeWrongSubject, Reason: "token is for another subject"}
	ErrRevoked        = &Error{Code: CodeRevoked, Reason: "token was revoked"}
)

func (e *Error) Error() string { return "auth: " + e.Reason }

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// LogValue is a group of code and reason.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("code", string(e.Code)), slog.String("reason", e.Reason))
}

func malformed(reason string) *Error { return &Error{Code: CodeMalformed, Reason: reason} }
