package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/perchws/perch"
	"github.com/perchws/perch/session"
)

// Beginning describes the session that Begin makes. Each field may be empty.
type Beginning struct {
	User  string // the client's id, if it is anonymous
	Data  []byte // a JSON object
	State []byte // the endpoint's own
}

// Then continues when the store has answered: at once, or later. id is that of the message, valid while Then runs. err
// is a *protocol.Error, unless the fault is ours. An error that Then returns goes to the client as Client.Fail sends
// it.
type Then[S any] func(state S, conn perch.Conn, c *Client, id json.RawMessage, s session.Session, err error) error

// Begin makes a session that the client holds, and continues with then. If the store does not answer the client is
// told so, and closed to come back later: then is not called. The endpoint's function must return the result of
// Begin.
func Begin[S any](conn perch.Conn, c *Client, id json.RawMessage, n Beginning, state S, then Then[S]) error {
	if who := c.who(); who != nil {
		n.User = who.Subject
	}
	call := session.Call{Op: session.OpCreate, New: session.New{
		ConnectionID: conn.ID().String(), UserID: n.User, Authenticated: c.Authenticated(), Data: n.Data, State: n.State,
		Address: conn.RemoteAddr().Addr(),
	}}
	return holding[S]{state, then}.ask(conn, c, id, call)
}

// Take gives the client the session of a key or resume token that it shows, and continues with then. The connection
// that held that session is closed with 3500; a session that the client held itself ends. A session of a user with a
// token is only given to the same user with a token: otherwise it would outlive the token and its limits. After an
// error the client holds the same session as before. Otherwise Take is like Begin.
func Take[S any](conn perch.Conn, c *Client, id json.RawMessage, key string, state S, then Then[S]) error {
	k, err := session.ParseKey(key)
	if err != nil {
		return then(state, conn, c, id, session.Session{}, sessionError(err))
	}
	call := session.Call{Op: session.OpAttach, Claim: session.Claim{
		Key: k, ConnectionID: conn.ID().String(), UserID: c.Identity().Subject, Anonymous: !c.Authenticated(),
	}}
	return holding[S]{state, then}.ask(conn, c, id, call)
}

// holding continues when the client holds a session.
type holding[S any] struct {
	state S
	then  Then[S]
}

// ask calls the function ask. (If held were passed as an argument, every call would allocate it.)
func (h holding[S]) ask(conn perch.Conn, c *Client, id json.RawMessage, call session.Call) error {
	if a, ok := c.atOnce(call); ok {
		return h.held(conn, c, id, a)
	}
	return askRemote(conn, c, bytes.Clone(id), call, h, holding[S].held)
}

// held gives the client the session that was made or taken.
func (h holding[S]) held(conn perch.Conn, c *Client, id json.RawMessage, a session.Answer) error {
	switch {
	case errors.Is(a.Err, session.ErrUnavailable):
		// It is not known whether the client holds one. It must begin anew with another connection.
		c.Fail(conn, id, sessionError(a.Err))
		c.Close(conn, perch.CloseTryAgainLater, reasonUnavailable)
		return nil
	case a.Err != nil:
		return h.then(h.state, conn, c, id, session.Session{}, sessionError(a.Err))
	}
	if a.Replaced != "" {
		c.realm().replace(a.Replaced)
		c.log(conn, slog.LevelDebug, "session resumed while it was held", slog.String("replaced", a.Replaced))
	}
	if c.session != (session.Key{}) && c.session != a.Session.ID {
		c.leaveOne(conn, session.OpEnd, c.session)
	}
	c.session = a.Session.ID
	return h.then(h.state, conn, c, id, a.Session, nil)
}

// replace closes the connection that held a session before, in whichever process. Any goroutine may call it.
func (r *Realm) replace(connection string) {
	id, err := perch.ParseID(connection)
	if err != nil {
		return
	}
	if ref := r.cfg.Find(id); ref != (perch.Ref{}) {
		_ = ref.Close(CloseReplaced, reasonReplaced)
		return
	}
	r.cfg.Elsewhere(id, CloseReplaced, reasonReplaced)
}

// leaveSession runs when the connection has closed. A normal close by the client (RFC 6455 §7.4.1) ends its session;
// after any other end the session can be resumed. That includes "going away", which browsers send when a page is
// reloaded.
func (c *Client) leaveSession(conn perch.Conn, cause *perch.CloseError) {
	if c.session == (session.Key{}) {
		return
	}
	c.flush(conn)
	op := session.OpDetach
	if cause.Remote && cause.Code == perch.CloseNormal {
		op = session.OpEnd
	}
	c.leaveOne(conn, op, c.session)
}
