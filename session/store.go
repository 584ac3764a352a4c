package session

import "context"

// Store keeps sessions. The contract of each method is tested by package
// storetest, which every store must pass. Any goroutine may call; a call is
// atomic: of two at once, one comes after the other. A call that fails with one
// of this package's errors has changed nothing.
type Store interface {
	// Create makes a session with an ID of its own, attached if it names a
	// connection. Errors: ErrNameInvalid, ErrDataInvalid, ErrDataTooLarge, ErrFull.
	Create(ctx context.Context, n New) (Session, error)

	// Get returns a session and touches it. A token does not open it here.
	// Errors: ErrNotFound.
	Get(ctx context.Context, id Key) (Session, error)

	// Update merges patch into the data, as [Merge] says, and touches. Updates at the same time are all kept. Errors:
	// ErrNotFound, ErrDataInvalid, ErrDataTooLarge, ErrFull.
	Update(ctx context.Context, id Key, patch []byte) (Session, error)

	// Delete ends a session, also one that a connection holds, and returns it as it was: if it was Active, the caller
	// must close its connection. Errors: ErrNotFound.
	Delete(ctx context.Context, id Key) (Session, error)

	// EndOthers ends every session of a user but the one to keep, and returns them as they were; the zero Key keeps
	// none. The empty user has no sessions. A session that the user begins meanwhile may be missed.
	EndOthers(ctx context.Context, user string, keep Key) ([]Session, error)

	// Attach gives a session to the connection of the claim and touches it. replaced is the connection that held it
	// until now; "" if there was none or it is the same. That connection can do no more with the session, and the
	// caller must close it (3500). Of several connections that attach at once, each but the last is returned as
	// replaced, once. A token is used up even if the connection already held the session. Errors: ErrNotFound (also
	// if the session is of another user than the claim's; a token can then still be used), ErrNameInvalid, ErrFull.
	Attach(ctx context.Context, c Claim) (s Session, replaced string, err error)

	// Detach leaves a session to be resumed, if this connection holds it: the
	// connection broke. Errors: ErrNotFound, ErrReplaced.
	Detach(ctx context.Context, id Key, connection string) error

	// End ends a session, if this connection holds it: a normal close.
	// Errors: ErrNotFound, ErrReplaced.
	End(ctx context.Context, id Key, connection string) error

	// Keep sets the session's State, if this connection holds it, and does not
	// touch. Errors: ErrNotFound, ErrReplaced, ErrDataTooLarge (MaxState), ErrFull.
	Keep(ctx context.Context, id Key, connection string, state []byte) error

	// Token returns a new key that Attach accepts in place of the ID, once, as long as the session lives. A session
	// has at most one: a new one replaces one that was not used. It does not touch. Errors: ErrNotFound, ErrFull.
	Token(ctx context.Context, id Key) (Key, error)
}
