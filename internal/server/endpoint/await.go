package endpoint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// ErrLate is the error that Wait.Then gets when the answer has not come in time. The call may have been done, or may
// still be.
var ErrLate error = &protocol.Error{Code: protocol.CodeUnavailable}

// Wait is a question whose answer may take long, because another goroutine or another machine works on it.
type Wait[T any] struct {
	// ID is the id of the message that is being answered, nil for none. It is copied.
	ID json.RawMessage

	// Patience is how long the client waits; 0: as Config says; −1: for ever.
	Patience time.Duration

	// Start asks. It is called once, at once, on the loop with the connection, and must not block. It must arrange
	// for one call of answer, from any goroutine, perhaps before Start returns; further calls are ignored.
	Start func(conn perch.Conn, answer func(v T, err error))

	// Here says that answer is called on the loop, as a callback of the connection: Then runs at once.
	Here bool

	// Then continues, on the loop, with the answer or with ErrLate. An error that it returns goes to the client as
	// Client.Fail sends it. It may await something else.
	Then func(conn perch.Conn, c *Client, v T, err error) error

	// Undo gets an answer for which nothing waits any more: the connection has closed, or Then got ErrLate. It is
	// called by any goroutine, loops too, and must not block. nil: there is nothing to undo.
	Undo func(v T, err error)
}

// Await asks, and lets the client wait: messages that it sends are handled, in order, when Then has returned and
// awaits nothing else. If the answer comes while Await runs, Then has run when Await returns, and Await returns its
// error. Otherwise Await returns nil. The first message of a client is handled only when the last Then has returned
// (see Endpoint.First): if that returns an error the client may send another first message.
//
// Call it on the connection's loop, within a function of an Endpoint or a Then, one call at a time.
func Await[T any](conn perch.Conn, c *Client, q Wait[T]) error {
	w := &wait{realm: c.realm(), ref: conn.Ref()}
	w.late = func(conn perch.Conn) error {
		var none T
		return q.Then(conn, c, none, ErrLate)
	}
	q.Start(conn, func(v T, err error) {
		then := func(conn perch.Conn) error { return q.Then(conn, c, v, err) }
		undo := func() {}
		if q.Undo != nil {
			undo = func() { q.Undo(v, err) }
		}
		switch waits := w.answer(then, undo); {
		case waits && q.Here:
			w.take(conn)
		case waits:
			w.post()
		}
	})
	if then := w.begin(); then != nil {
		return then(conn)
	}
	c.suspend(w, q.ID, q.Patience)
	return nil
}

// wait is an answer for which a client waits.
type wait struct {
	// Immutable.
	realm *Realm
	ref   perch.Ref
	late  func(perch.Conn) error // continues without an answer

	// Owned by the loop.
	id       json.RawMessage
	deadline *deadline // nil: none

	mu    sync.Mutex // short
	state waitState
	then  func(perch.Conn) error // continues with the answer, once there is one
	undo  func()                 // drops the answer instead
}

// waitState says how far the answer to a wait has come.
//
//	from      event                       to
//	asking    an answer, during Start     answered
//	asking    Start returns               waiting
//	answered  Start returns               taken
//	waiting   an answer                   answered (and posted to the loop, or taken there)
//	waiting   time runs out               abandoned
//	waiting   the connection closes       abandoned
//	answered  the loop gets to it         taken
//	answered  the connection closes       taken (it is undone)
//	abandoned an answer                   taken (it is undone)
type waitState uint8

const (
	asking waitState = iota
	waiting
	answered
	abandoned
	taken
)

// begin is called when Start has returned. If there is an answer already, it returns the function to continue with.
func (w *wait) begin() (then func(perch.Conn) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == answered {
		w.state = taken
		return w.then
	}
	w.state = waiting
	return nil
}

// answer takes the first answer, and reports whether the client waits for it. Any goroutine may call it.
func (w *wait) answer(then func(perch.Conn) error, undo func()) (waits bool) {
	w.mu.Lock()
	was := w.state
	switch was {
	case asking, waiting:
		w.state, w.then, w.undo = answered, then, undo
	case abandoned:
		w.state = taken
	}
	w.mu.Unlock()
	if was == abandoned {
		undo()
	}
	return was == waiting
}

// post sends the answer to the loop, a little later if the loop accepts nothing more. If the connection is closed the
// answer has been undone, or will be.
func (w *wait) post() {
	if err := w.ref.Do(w.take); errors.Is(err, perch.ErrOverloaded) {
		a := w.realm.deadlines
		a.set(&alarm{ref: w.ref}, a.now()+overloadPause.Milliseconds())
	}
}

// take continues with the answer, unless it has been taken.
func (w *wait) take(conn perch.Conn) {
	w.mu.Lock()
	is := w.state == answered
	if is {
		w.state = taken
	}
	w.mu.Unlock()
	if is {
		clientOf(conn).goOn(conn, w, w.then)
	}
}

// ring is called when an alarm of the client has gone off: there may be an answer that could not be posted, or the
// time is over.
func (w *wait) ring(conn perch.Conn) {
	w.take(conn)
	if !w.deadline.over() || !w.abandon() {
		return
	}
	clientOf(conn).goOn(conn, w, w.late)
}

// abandon makes sure that an answer that still comes is undone. false: there was one already.
func (w *wait) abandon() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != waiting {
		return false
	}
	w.state = abandoned
	return true
}

// close is called when the connection has closed.
func (w *wait) close() {
	if w.abandon() {
		return
	}
	w.mu.Lock()
	undo := w.undo
	if w.state != answered {
		undo = nil
	}
	w.state = taken
	w.mu.Unlock()
	if undo != nil {
		undo()
	}
}

// suspend lets the client wait.
func (c *Client) suspend(w *wait, id json.RawMessage, patience time.Duration) {
	w.id = bytes.Clone(id)
	c.holding().wait = w
	w.deadline = w.realm.deadlines.in(w.ref, cmp.Or(patience, w.realm.cfg.Patience))
}

// suspended reports whether the client waits for an answer.
func (c *Client) suspended() bool {
	e := c.held()
	return e != nil && e.wait != nil
}

// goOn runs then, which continues after w, and handles the messages that the client has sent since, unless something
// else is awaited.
func (c *Client) goOn(conn perch.Conn, w *wait, then func(perch.Conn) error) {
	e := c.held()
	e.wait = nil
	w.deadline.cancel()
	err := then(conn)
	if err != nil {
		c.Fail(conn, w.id, err)
	}
	if e.wait != nil || c.closing {
		return
	}
	if e.greets {
		e.greets = false
		c.greeted(conn, err == nil)
	}
	c.catchUp(conn)
}

// leaveWait is called when the connection has closed.
func (c *Client) leaveWait() {
	e := c.held()
	if e == nil {
		return
	}
	if w := e.wait; w != nil {
		e.wait = nil
		w.deadline.cancel()
		w.close()
	}
	c.dropBacklog()
}
