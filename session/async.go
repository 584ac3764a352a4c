package session

import "context"

// Async is a store that may wait, for a network or another machine. Event loops, which must not wait, ask it. [Sync]
// makes a Store of it for goroutines that may wait.
//
// A request is a [Call], so that a layer in front of a store (a deadline, a queue, a shard for each key, a test) has
// only one method to wrap. The operations are those of [Store], with its contract.
type Async interface {
	// Do begins a call. Any goroutine may call it; it does not block, and copies the bytes of the call that it
	// needs afterwards. done is called once, by any goroutine, also before Do returns; it does not block, and may
	// call Do.
	//
	// Calls about one session take effect in order: one begun after the Do of another has returned takes effect after
	// that other. Answers come in any order.
	//
	// The store bounds how many calls may be under way: one more is answered with ErrUnavailable, and so is a call
	// that could not be carried out in the time that the store allows. A caller that gives up earlier does not know
	// whether the call has taken effect, or will.
	Do(c Call, done func(Answer))
}

// Op is an operation of a Store.
type Op uint8

// The operations. Each reads these fields of a Call, and sets these of an Answer.
const (
	OpCreate    Op = iota + 1 // New; Session
	OpGet                     // ID; Session
	OpUpdate                  // ID, Bytes (the patch); Session
	OpDelete                  // ID; Session
	OpEndOthers               // User, ID (the one to keep); Ended
	OpAttach                  // Claim; Session, Replaced
	OpDetach                  // ID, Connection
	OpEnd                     // ID, Connection
	OpKeep                    // ID, Connection, Bytes (the state)
	OpToken                   // ID; Token
)

var opNames = [...]string{
	OpCreate: "create", OpGet: "get", OpUpdate: "update", OpDelete: "delete", OpEndOthers: "end others",
	OpAttach: "attach", OpDetach: "detach", OpEnd: "end", OpKeep: "keep", OpToken: "token",
}

// String is for logs and metrics.
func (o Op) String() string {
	if int(o) < len(opNames) && opNames[o] != "" {
		return opNames[o]
	}
	return "unknown"
}

// Call is a request to a store: an operation, and its arguments.
type Call struct {
	Op         Op
	ID         Key
	Connection string
	User       string
	Bytes      []byte
	New        New
	Claim      Claim
}

// Answer is the answer of a store. With an Err the rest is empty.
type Answer struct {
	Session  Session
	Replaced string
	Token    Key
	Ended    []Session
	Err      error
}

// Carry carries out a call on a Store, and waits for it.
func Carry(ctx context.Context, s Store, c Call) (a Answer) {
	switch c.Op {
	case OpCreate:
		a.Session, a.Err = s.Create(ctx, c.New)
	case OpGet:
		a.Session, a.Err = s.Get(ctx, c.ID)
	case OpUpdate:
		a.Session, a.Err = s.Update(ctx, c.ID, c.Bytes)
	case OpDelete:
		a.Session, a.Err = s.Delete(ctx, c.ID)
	case OpEndOthers:
		a.Ended, a.Err = s.EndOthers(ctx, c.User, c.ID)
	case OpAttach:
		a.Session, a.Replaced, a.Err = s.Attach(ctx, c.Claim)
	case OpDetach:
		a.Err = s.Detach(ctx, c.ID, c.Connection)
	case OpEnd:
		a.Err = s.End(ctx, c.ID, c.Connection)
	case OpKeep:
		a.Err = s.Keep(ctx, c.ID, c.Connection, c.Bytes)
	case OpToken:
		a.Token, a.Err = s.Token(ctx, c.ID)
	default:
		panic("session: a call without an operation")
	}
	return a
}

// Sync makes a Store of an Async: each call waits for its answer, or for the end of its ctx, whose error is then
// returned together with ErrUnavailable. It is for goroutines that may wait, and never for event loops.
func Sync(a Async) Store { return waiting{a} }

// waiting is an Async as a Store.
type waiting struct{ async Async }

var _ Store = waiting{}

// ask waits for the answer to a call.
func (w waiting) ask(ctx context.Context, c Call) Answer {
	answers := make(chan Answer, 1)
	w.async.Do(c, func(a Answer) {
		select {
		case answers <- a:
		default: // later answers of a store that answers twice are ignored
		}
	})
	select {
	case a := <-answers:
		return a
	case <-ctx.Done():
		return Answer{Err: &unavailableError{ctx.Err()}}
	}
}

// unavailableError is ErrUnavailable with its cause.
type unavailableError struct{ cause error }

func (e *unavailableError) Error() string { return ErrUnavailable.Error() + ": " + e.cause.Error() }

func (e *unavailableError) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

func (w waiting) Create(ctx context.Context, n New) (Session, error) {
	a := w.ask(ctx, Call{Op: OpCreate, New: n})
	return a.Session, a.Err
}

func (w waiting) Get(ctx context.Context, id Key) (Session, error) {
	a := w.ask(ctx, Call{Op: OpGet, ID: id})
	return a.Session, a.Err
}

func (w waiting) Update(ctx context.Context, id Key, patch []byte) (Session, error) {
	a := w.ask(ctx, Call{Op: OpUpdate, ID: id, Bytes: patch})
	return a.Session, a.Err
}

func (w waiting) Delete(ctx context.Context, id Key) (Session, error) {
	a := w.ask(ctx, Call{Op: OpDelete, ID: id})
	return a.Session, a.Err
}

func (w waiting) EndOthers(ctx context.Context, user string, keep Key) ([]Session, error) {
	a := w.ask(ctx, Call{Op: OpEndOthers, User: user, ID: keep})
	return a.Ended, a.Err
}

func (w waiting) Attach(ctx context.Context, c Claim) (s Session, replaced string, err error) {
	a := w.ask(ctx, Call{Op: OpAttach, Claim: c})
	return a.Session, a.Replaced, a.Err
}

func (w waiting) Detach(ctx context.Context, id Key, connection string) error {
	return w.ask(ctx, Call{Op: OpDetach, ID: id, Connection: connection}).Err
}

func (w waiting) End(ctx context.Context, id Key, connection string) error {
	return w.ask(ctx, Call{Op: OpEnd, ID: id, Connection: connection}).Err
}

func (w waiting) Keep(ctx context.Context, id Key, connection string, state []byte) error {
	return w.ask(ctx, Call{Op: OpKeep, ID: id, Connection: connection, Bytes: state}).Err
}

func (w waiting) Token(ctx context.Context, id Key) (Key, error) {
	a := w.ask(ctx, Call{Op: OpToken, ID: id})
	return a.Token, a.Err
}
