package endpoint

import (
	"context"
	"errors"
	"log/slog"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// Everything that is asked of the store is asked in this file, on loops: the store must not block.

// Begin makes a session that the client holds. user is its id if it is anonymous, data a JSON object, state the
// endpoint's own; each may be empty. The error is a *protocol.Error, but for a fault of ours.
func (c *Client) Begin(conn perch.Conn, user string, data, state []byte) (session.Session, error) {
	if id := c.who(); id != nil {
		user = id.Subject
	}
	s, err := c.realm().cfg.Sessions.Create(context.Background(), session.New{
		ConnectionID: conn.ID().String(), UserID: user, Authenticated: c.Authenticated(), Data: data, State: state,
	})
	if err != nil {
		return session.Session{}, sessionError(err)
	}
	c.session = s.ID
	return s, nil
}

// Take gives the client a session that it shows the key of, or a resume token. Whoever held it is closed
// with 3500; one that the client held itself ends. A session of somebody with a token is only given to the same
// somebody with a token: otherwise it would outlive the token, and what the token limits. The error is a
// *protocol.Error, but for a fault of ours; then the client holds what it held.
func (c *Client) Take(conn perch.Conn, key string) (session.Session, error) {
	k, err := session.ParseKey(key)
	if err != nil {
		return session.Session{}, sessionError(err)
	}
	store, me := c.realm().cfg.Sessions, conn.ID().String()
	s, replaced, err := store.Attach(context.Background(), session.Claim{
		Key: k, ConnectionID: me, UserID: c.Identity().Subject, Anonymous: !c.Authenticated(),
	})
	if err != nil {
		return session.Session{}, sessionError(err)
	}
	if replaced != "" {
		c.replace(conn, replaced)
	}
	if c.session != (session.Key{}) && c.session != s.ID {
		_ = store.End(context.Background(), c.session, me)
	}
	c.session = s.ID
	return s, nil
}

// replace closes the connection that held a session until now.
func (c *Client) replace(conn perch.Conn, connection string) {
	id, err := perch.ParseID(connection)
	if err == nil {
		_ = c.realm().cfg.Find(id).Close(CloseReplaced, reasonReplaced)
	}
	c.log(conn, slog.LevelDebug, "session resumed while it was held", slog.String("replaced", connection))
}

// Current is the session that the client holds. To ask is to touch it.
func (c *Client) Current() (session.Session, error) {
	s, err := c.realm().cfg.Sessions.Get(context.Background(), c.session)
	return s, sessionError(err)
}

// Update merges a JSON object into the session's data.
func (c *Client) Update(patch []byte) (session.Session, error) {
	s, err := c.realm().cfg.Sessions.Update(context.Background(), c.session, patch)
	return s, sessionError(err)
}

// Keep sets the session's state.
func (c *Client) Keep(conn perch.Conn, state []byte) error {
	return sessionError(c.realm().cfg.Sessions.Keep(context.Background(), c.session, conn.ID().String(), state))
}

// ResumeToken is a key to the session that works once.
func (c *Client) ResumeToken() (session.Key, error) {
	k, err := c.realm().cfg.Sessions.Token(context.Background(), c.session)
	return k, sessionError(err)
}

// Logout ends the session, whoever holds it.
func (c *Client) Logout() error {
	_, err := c.realm().cfg.Sessions.Delete(context.Background(), c.session)
	c.session = session.Key{}
	return sessionError(err)
}

// leaveSession is for when the connection has closed: a normal close by the client (RFC 6455 §7.4.1) ends its
// session, anything else leaves it to be resumed, "going away" too: that is what a page says that is loaded
// again.
func (c *Client) leaveSession(conn perch.Conn, cause *perch.CloseError) {
	if c.session == (session.Key{}) {
		return
	}
	leave := c.realm().cfg.Sessions.Detach
	if cause.Remote && cause.Code == perch.CloseNormal {
		leave = c.realm().cfg.Sessions.End
	}
	err := leave(context.Background(), c.session, conn.ID().String())
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrReplaced) {
		c.log(conn, slog.LevelError, "session could not be left", slog.String("error", err.Error()))
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
	default:
		return err
	}
	return &protocol.Error{Code: code}
}
