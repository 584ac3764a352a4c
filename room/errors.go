package room

import "errors"

// What callers branch on. Compare with errors.Is.
var (
	ErrNotFound        = errors.New("room: no such room")
	ErrExists          = errors.New("room: exists already")
	ErrID              = errors.New("room: the id is empty, over 64 bytes, or has characters that cannot be seen")
	ErrTooMany         = errors.New("room: as many rooms as there may be")
	ErrFull            = errors.New("room: full")
	ErrPassword        = errors.New("room: wrong password")
	ErrPasswordInvalid = errors.New("room: a password is 1 to 256 bytes of characters that can be seen, and spaces")
	ErrBusy            = errors.New("room: too many passwords are being checked")
	ErrJoined          = errors.New("room: in it already")
	ErrNotIn           = errors.New("room: not in it")
	ErrTooManyRooms    = errors.New("room: in as many rooms as a connection may be")
	ErrQueueFull       = errors.New("room: too many messages are under way")
	ErrSignedIn        = errors.New("room: signed in already, or in a room")
	ErrUserID          = errors.New("room: the user id is empty or over 256 bytes")
	ErrBroker          = errors.New("room: the broker panicked")
	ErrClosed          = errors.New("room: the hub is closed")
)
