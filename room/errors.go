package room

import (
	"errors"
	"fmt"
)

// Errors that callers branch on. Compare with errors.Is.
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
	ErrQueueFull       = errors.New("room: too much is under way")
	ErrSignedIn        = errors.New("room: signed in already, or in a room")
	ErrUserID          = errors.New("room: the user id is empty or over 256 bytes")
	ErrClosed          = errors.New("room: the hub is closed")

	// ErrUnavailable also wraps the broker's own errors, and the errors below.
	ErrUnavailable = errors.New("room: cannot be reached now")
	ErrOpening     = fmt.Errorf("%w: it is being opened", ErrUnavailable)
	ErrTimeout     = fmt.Errorf("%w: the broker has not answered in time", ErrUnavailable)
	ErrBroker      = fmt.Errorf("%w: the broker panicked", ErrUnavailable)
)

// unavailable wraps an error of the broker, unless it is one of ours.
func unavailable(err error) error {
	for _, known := range [...]error{
		ErrUnavailable, ErrNotFound, ErrExists, ErrTooMany, ErrFull, ErrQueueFull, ErrClosed,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
