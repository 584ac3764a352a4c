package session

import "errors"

// Errors that callers branch on. Stores wrap them: use errors.Is. Any other error is a fault of the store.
var (
	// ErrNotFound: no such session. It may never have existed, have ended, have
	// expired, belong to somebody else, or its key may be no key; a client is
	// not told which.
	ErrNotFound = errors.New("session: not found")
	// ErrReplaced: another connection holds the session, or none does.
	ErrReplaced = errors.New("session: not held by this connection")
	// ErrDataInvalid: the data is not a JSON object in UTF-8, or deeper than MaxDepth.
	ErrDataInvalid = errors.New("session: data is not a JSON object")
	// ErrDataTooLarge: over MaxData, or a state over MaxState. Nothing was changed.
	ErrDataTooLarge = errors.New("session: data too large")
	// ErrNameInvalid: a connection or user id that is missing, too long or not UTF-8.
	ErrNameInvalid = errors.New("session: invalid connection or user id")
	// ErrFull: no memory left, and nothing detached to drop. Nothing was changed.
	ErrFull = errors.New("session: store is full")
	// ErrUnavailable: the store cannot be reached, has too much to do, or has not
	// answered in time. The call may have been carried out or not.
	ErrUnavailable = errors.New("session: store does not answer")
)
