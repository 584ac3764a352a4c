package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// Client is the state of one connection at an endpoint, and the connection's user value. Like the
// perch.Conn it comes with it is the loop's. Idle it is 96 bytes, and what State points to.
type Client struct {
	State any // the endpoint's own

	// Owned by the loop.
	at       *served
	identity *auth.Identity // nil: anonymous
	session  session.Key    // zero: none
	alarm    *alarm         // nil: there is nothing to wait for
	early    *early         // nil: nothing holds up what it sends
	errors   protocol.Budget
	pings    uint32 // JSON pings sent
	phase    phase
	closing  bool
}

// phase says how far a client has come.
//
//	from      event                      to
//	refused   admitted, there is a First greeting
//	refused   admitted, there is none    fresh
//	greeting  First returns no error     active
//	fresh     its first message          active
type phase uint8

const (
	refused  phase = iota // not admitted: it is being closed
	greeting              // who it is must still come
	fresh                 // nothing has come
	active
)

// early is what only a client needs whose first message is waited for, or that is suspended.
type early struct {
	token     *[32]byte // hash of the request's token; nil: it had none
	suspended bool
	backlog   []later
	size      int // bytes in backlog
}

// Identity is who the client is by its token; zero if it is anonymous.
func (c *Client) Identity() auth.Identity {
	if c.identity == nil {
		return auth.Identity{}
	}
	return *c.identity
}

// Authenticated reports whether the client has shown a token.
func (c *Client) Authenticated() bool { return c.identity != nil }

// Session is the key of the session that the client holds, or held until another connection took it;
// zero: none.
func (c *Client) Session() session.Key { return c.session }

// Close closes the connection, as conn.Close does, and handles nothing that may be waiting in a Suspend.
func (c *Client) Close(conn perch.Conn, code perch.CloseCode, reason string) {
	c.closing = true
	_ = conn.Close(code, reason) // its error says that it is closing already
}

// clientOf is the Client of a connection at an endpoint.
func clientOf(conn perch.Conn) *Client { return conn.Value().(*Client) }

// realm is what the client's endpoint shares with others.
func (c *Client) realm() *Realm { return c.at.realm }
