package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// All calls of the store of sessions are in this file, on loops. A store that answers at once (Config.Sessions) is
// called, and the rest follows at once; with a store that may wait (Config.Remote) the client awaits the answer.

// ask lets the store carry out a call, and continues with then: at once, or when the answer has come. then gets
// state, which is a value of the caller's, and the id of the message, valid while it runs. An error of then goes to
// the client.
//
// then is a function and not a closure, and state is a value: so a call of a store that answers at once allocates
// nothing.
func ask[S any](conn perch.Conn, c *Client, id json.RawMessage, call session.Call, state S,
	then func(S, perch.Conn, *Client, json.RawMessage, session.Answer) error,
) error {
	if a, ok := c.atOnce(call); ok {
		return then(state, conn, c, id, a)
	}
	return askRemote(conn, c, bytes.Clone(id), call, state, then)
}

// atOnce carries out a call if the store answers at once. false: the store may wait.
func (c *Client) atOnce(call session.Call) (a session.Answer, ok bool) {
	store := c.realm().cfg.Sessions
	if store == nil {
		return a, false
	}
	return session.Carry(context.Background(), store, call), true
}

// askRemote is ask for a store that may wait.
func askRemote[S any](conn perch.Conn, c *Client, id json.RawMessage, call session.Call, state S,
	then func(S, perch.Conn, *Client, json.RawMessage, session.Answer) error,
) error {
	r, me := c.realm(), conn.ID().String()
	return Await(conn, c, Wait[session.Answer]{
		ID: id,
		Start: func(_ perch.Conn, answer func(session.Answer, error)) {
			r.cfg.Remote.Do(call, func(a session.Answer) { answer(a, nil) })
		},
		Then: func(conn perch.Conn, c *Client, a session.Answer, late error) error {
			if late != nil {
				a = session.Answer{Err: session.ErrUnavailable}
			}
			return then(state, conn, c, id, a)
		},
		Undo: func(a session.Answer, _ error) { r.undo(call.Op, me, a) },
	})
}

// undo gets an answer for which nothing waits any more: it gives back the session that the call has made or taken.
// Any goroutine may call it.
func (r *Realm) undo(op session.Op, connection string, a session.Answer) {
	switch {
	case a.Err != nil:
	case op == session.OpCreate:
		r.tell(session.Call{Op: session.OpEnd, ID: a.Session.ID, Connection: connection})
	case op == session.OpAttach:
		r.replace(a.Replaced)
		r.tell(session.Call{Op: session.OpDetach, ID: a.Session.ID, Connection: connection})
	}
}

// tell makes a call of a store that may wait, without waiting for the answer. There are at most two for each
// connection that closes, so connections bound their number. Any goroutine may call it.
func (r *Realm) tell(call session.Call) {
	r.cfg.Remote.Do(call, func(a session.Answer) { r.untold(call.Connection, a.Err) })
}

// untold logs that a session could not be left. It is no fault if the session is gone, or belongs to another
// connection. If the store does not answer, the store reports that itself.
func (r *Realm) untold(connection string, err error) {
	level := slog.LevelError
	switch {
	case err == nil, errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrReplaced):
		return
	case errors.Is(err, session.ErrUnavailable):
		level = slog.LevelDebug
	}
	r.cfg.Log.Log(context.Background(), level, "session could not be left", "error", err.Error(), "connection_id", connection)
}

// leaveOne leaves a session, by OpDetach or OpEnd.
func (c *Client) leaveOne(conn perch.Conn, op session.Op, id session.Key) {
	r := c.realm()
	call := session.Call{Op: op, ID: id, Connection: conn.ID().String()}
	if a, ok := c.atOnce(call); ok {
		r.untold(call.Connection, a.Err)
		return
	}
	r.tell(call)
}

// keeping is a state that is on its way to the store. There is one call at a time; the last state that was set
// meanwhile follows it.
type keeping struct {
	deadline *deadline
	next     []byte
	more     bool // there is a next state
}

// keeps returns the state that is on its way to the store; nil: there is none.
func (c *Client) keeps() *keeping {
	if c.rare == nil {
		return nil
	}
	return c.rare.keeping
}

// Keep sets the session's state. With a store that may wait, nothing waits: the error is nil, and the client is told
// later if the store fails. Of states that are set meanwhile only the last is kept.
func (c *Client) Keep(conn perch.Conn, state []byte) error {
	call := session.Call{Op: session.OpKeep, ID: c.session, Connection: conn.ID().String(), Bytes: state}
	if a, ok := c.atOnce(call); ok {
		return sessionError(a.Err)
	}
	if k := c.keeps(); k != nil {
		k.next, k.more = bytes.Clone(state), true
		return nil
	}
	c.keep(conn, call)
	return nil
}

// keep begins a call of OpKeep.
func (c *Client) keep(conn perch.Conn, call session.Call) {
	r, ref := c.realm(), conn.Ref()
	k := &keeping{deadline: r.deadlines.in(ref, r.cfg.Patience)}
	c.rarely().keeping = k
	r.cfg.Remote.Do(call, func(a session.Answer) {
		_ = ref.Do(func(conn perch.Conn) { c.kept(conn, k, a.Err) }) // if this is lost the deadline follows
	})
}

// kept is called when the store has answered, or the deadline has passed.
func (c *Client) kept(conn perch.Conn, k *keeping, err error) {
	if c.keeps() != k { // it was given up, or answered before
		return
	}
	k.deadline.cancel()
	c.rare.keeping = nil
	if k.more {
		c.keep(conn, session.Call{Op: session.OpKeep, ID: c.session, Connection: conn.ID().String(), Bytes: k.next})
	}
	if err != nil {
		c.Fail(conn, nil, sessionError(err))
	}
	c.tidy()
}

// flush is called when the connection has closed: it keeps the state that was set last.
func (c *Client) flush(conn perch.Conn) {
	k := c.keeps()
	if k == nil {
		return
	}
	c.rare.keeping = nil
	k.deadline.cancel()
	if k.more {
		c.realm().tell(session.Call{Op: session.OpKeep, ID: c.session, Connection: conn.ID().String(), Bytes: k.next})
	}
}

// sessionError turns an error of the store into the error that a client gets.
func sessionError(err error) error {
	code := protocol.CodeInternal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrReplaced):
		code = protocol.CodeSessionNotFound
	case errors.Is(err, session.ErrDataInvalid):
		code = protocol.CodeDataInvalid
	case errors.Is(err, session.ErrDataTooLarge):
		code = protocol.CodeDataTooLarge
	case errors.Is(err, session.ErrFull):
		code = protocol.CodeBusy
	case errors.Is(err, session.ErrUnavailable):
		code = protocol.CodeUnavailable
	default:
		return err
	}
	return &protocol.Error{Code: code}
}
