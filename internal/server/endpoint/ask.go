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

// Everything that is asked of the store of sessions is asked in this file, on loops. A store that answers at once
// (Config.Sessions) is called, and what follows runs at once; with one that may wait (Config.Remote) the client
// awaits the answer.

// ask has the store carry out a call, and goes on with then: at once, or when the answer has come. then gets state,
// which is what it needs besides, and the id of the message, as long as it runs. An error of then goes to the
// client.
//
// then is a function and not a closure, and state a value: so the call of a store that answers at once allocates
// nothing.
func ask[S any](conn perch.Conn, c *Client, id json.RawMessage, call session.Call, state S,
	then func(S, perch.Conn, *Client, json.RawMessage, session.Answer) error,
) error {
	if a, ok := c.atOnce(call); ok {
		return then(state, conn, c, id, a)
	}
	return askRemote(conn, c, bytes.Clone(id), call, state, then)
}

// atOnce has a store that answers at once carry out a call. false: there is another one.
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

// undo is for an answer that came when nobody waited for it any more: nobody holds what the call has made or taken.
// Any goroutine.
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

// tell has the store that may wait carry out a call whose answer nobody waits for. One for each connection that
// closes, at most two: so connections bound how many there are. Any goroutine.
func (r *Realm) tell(call session.Call) {
	r.cfg.Remote.Do(call, func(a session.Answer) { r.untold(call.Connection, a.Err) })
}

// untold logs that a session could not be left. That it is somebody else's, or no more, is no fault; that the store
// does not answer is the store's to tell, once for all.
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

// leaveOne has a session left, by OpDetach or OpEnd.
func (c *Client) leaveOne(conn perch.Conn, op session.Op, id session.Key) {
	r := c.realm()
	call := session.Call{Op: op, ID: id, Connection: conn.ID().String()}
	if a, ok := c.atOnce(call); ok {
		r.untold(call.Connection, a.Err)
		return
	}
	r.tell(call)
}

// keeping is a state that is on its way to the store: there is one call at a time, and the state that is set last
// follows it.
type keeping struct {
	deadline *deadline
	next     []byte
	more     bool // there is a next one
}

// keeps is the state that is on its way to the store; nil: none is.
func (c *Client) keeps() *keeping {
	if c.rare == nil {
		return nil
	}
	return c.rare.keeping
}

// Keep sets the session's state. Nobody waits for a store that may wait: what it cannot keep the client is told later,
// and the error is nil. A state that is set meanwhile is kept in place of those before it.
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
		_ = ref.Do(func(conn perch.Conn) { c.kept(conn, k, a.Err) }) // if it is lost the deadline tells
	})
}

// kept is for when the store has answered, or the deadline has passed.
func (c *Client) kept(conn perch.Conn, k *keeping, err error) {
	if c.keeps() != k { // it has been given up, or answered before
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

// flush is for when the connection has closed: the state that was set last is kept.
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

// sessionError is what a client is told of an error of the store.
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
