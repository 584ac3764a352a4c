package endpoint

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// admit checks the token of the request. false: the client may not stay, and is told why. If there will be a first
// message, a bad cookie or query is only refused with it: a token in it wins.
func (c *Client) admit(conn perch.Conn, r *perch.Request) bool {
	cfg := &c.realm().cfg
	token, carrier, err := auth.Token(r, cfg.Cookie)
	switch {
	case err == nil:
		err = c.verify(token, carrier)
	case errors.Is(err, auth.ErrMissing) && (c.at.First != nil || !cfg.Required):
		err = nil // anonymous, or not to stay so
	}
	switch {
	case err == nil:
	case c.at.First != nil && !carrier.Explicit():
		e := c.holding()
		e.refusal, e.carrier = err, carrier
	default:
		c.refuse(conn, nil, err, carrier, r.RemoteAddr())
		return false
	}
	return true
}

// identify checks the token of a message that may be the first. ok: it may be handled. If ok is false and err nil,
// the client may not stay, and is told why.
func (c *Client) identify(conn perch.Conn, m protocol.Message) (ok bool, err error) {
	token, err := m.String("token", auth.MaxToken, false)
	if err != nil {
		return false, err
	}
	from := auth.CarrierFrame
	switch e := c.held(); {
	case token != "" && (e == nil || !e.carrier.Explicit()):
		err = c.verify(token, from)
	case token != "" && sha256.Sum256([]byte(token)) != *e.token:
		err = auth.ErrConflicting
	case e != nil && e.refusal != nil:
		err, from = e.refusal, e.carrier
	case c.who() == nil && c.realm().cfg.Required:
		err = auth.ErrMissing
	}
	if err != nil {
		c.refuse(conn, m.ID(), err, from, conn.RemoteAddr().Addr())
		return false, nil
	}
	return true, nil
}

// verify gives the client the identity of the token. While the first message has not come it keeps the token's hash,
// to notice another token.
func (c *Client) verify(token string, from auth.Carrier) error {
	id, err := c.realm().cfg.Auth.Verify(token)
	if err != nil {
		return err
	}
	c.rarely().identity = &id
	if c.at.First != nil {
		sum := sha256.Sum256([]byte(token))
		e := c.holding()
		e.token, e.carrier, e.refusal = &sum, from, nil
	}
	return nil
}

// refuse tells a client why it may not stay: in a message, for programs, and in the close frame.
func (c *Client) refuse(conn perch.Conn, id json.RawMessage, err error, from auth.Carrier, remote netip.Addr) {
	code, reason := perch.ClosePolicyViolation, c.at.BadToken
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Retry {
		code, reason = perch.CloseTryAgainLater, reasonLoading
	} else if errors.Is(err, auth.ErrMissing) {
		reason = reasonRequired
	}
	c.log(conn, slog.LevelInfo, "client refused", slog.Any("error", err), slog.String("carrier", from.String()),
		slog.String("remote", remote.String()))
	c.Fail(conn, id, err)
	c.Close(conn, code, reason)
}

// refresh handles refresh_token. If the new token is bad the old one counts until it expires.
func (c *Client) refresh(conn perch.Conn, m protocol.Message) error {
	token, err := m.String("token", auth.MaxToken, true)
	if err != nil {
		return err
	}
	id, err := c.realm().cfg.Auth.Refresh(c.Identity(), token)
	if err != nil {
		return err
	}
	c.rarely().identity = &id
	c.arm(conn)
	o := protocol.NewObject(nil, protocol.TypeTokenRefreshed).ID(m.ID())
	if !id.Expires.IsZero() {
		o = o.Time("expires_at", id.Expires)
	}
	send(conn, o)
	if c.at.Refreshed != nil {
		c.at.Refreshed(conn, c)
	}
	return nil
}

// arm sets the alarm for the end of the client's token.
func (c *Client) arm(conn perch.Conn) {
	at, expiries := c.Identity().Expires, c.realm().expiries
	switch {
	case !at.IsZero():
		rare := c.rarely()
		if rare.expiry == nil {
			rare.expiry = &alarm{ref: conn.Ref()}
		}
		expiries.setWall(rare.expiry, at)
	case c.rare != nil && c.rare.expiry != nil:
		expiries.cancel(c.rare.expiry)
		c.rare.expiry = nil
		c.tidy()
	}
}

// disarm is called when the connection has closed.
func (c *Client) disarm() {
	if c.rare == nil {
		return
	}
	if c.rare.expiry != nil {
		c.realm().expiries.cancel(c.rare.expiry)
	}
	c.rare.first.cancel()
}

// expired is called when an alarm of a token goes off, on the connection's loop, perhaps shortly after it was
// cancelled.
func (r *Realm) expired(conn perch.Conn) {
	c := clientOf(conn)
	if c.Identity().Expired(r.Now()) {
		c.Close(conn, CloseTokenExpired, reasonExpired)
		return
	}
	c.arm(conn)
}

// overdue is called in the same way for all other alarms.
func (r *Realm) overdue(conn perch.Conn) {
	c := clientOf(conn)
	if k := c.keeps(); k != nil && k.deadline.over() {
		c.kept(conn, k, session.ErrUnavailable)
	}
	switch e := c.held(); {
	case e != nil && e.wait != nil: // a first message that waits for this answer has come in time
		e.wait.ring(conn)
	case c.phase == greeting && c.rare != nil && c.rare.first.over():
		c.noFirst(conn)
	}
}
