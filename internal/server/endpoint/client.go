package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// Client is the state of one connection at an endpoint, and the connection's user value. Like the perch.Conn that
// comes with it, only the loop may use it. If idle and anonymous it has 64 bytes, and the value of State.
type Client struct {
	State any // the endpoint's own

	// Owned by the loop.
	at      *served
	session session.Key // zero: none
	rare    *rare       // nil: there is none
	pings   uint32      // JSON pings sent
	phase   phase
	closing bool
}

// rare has the fields that an idle client without a token does not need.
type rare struct {
	identity *auth.Identity // nil: anonymous
	expiry   *alarm         // for the end of its token; nil: the token has none
	first    *deadline      // for its first message; nil: it has come, or there is no limit
	early    *early         // nil: the client's messages are handled at once
	keeping  *keeping       // nil: no state is on its way to the store
	errors   protocol.Budget
}

// rarely returns the client's rare part, and makes it if there is none.
func (c *Client) rarely() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

// tidyEarly drops the early part when the first message has come and no answer is waited for.
func (c *Client) tidyEarly() {
	if e := c.held(); e != nil && e.wait == nil && len(e.backlog) == 0 && c.phase != greeting {
		c.rare.early = nil
		c.tidy()
	}
}

// tidy drops an empty rare part.
func (c *Client) tidy() {
	if c.rare != nil && *c.rare == (rare{}) {
		c.rare = nil
	}
}

// who returns the client's identity; nil: anonymous.
func (c *Client) who() *auth.Identity {
	if c.rare == nil {
		return nil
	}
	return c.rare.identity
}

// held returns the early part; nil: there is none.
func (c *Client) held() *early {
	if c.rare == nil {
		return nil
	}
	return c.rare.early
}

// holding is held, which makes the part if there is none.
func (c *Client) holding() *early {
	rare := c.rarely()
	if rare.early == nil {
		rare.early = new(early)
	}
	return rare.early
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
	greeting              // its first message has not come
	fresh                 // no message has come
	active
)

// early has the fields of a client whose first message has not come, or that waits for an answer.
type early struct {
	token   *[32]byte    // hash of the token that was shown last; nil: there was no good one
	carrier auth.Carrier // of that token, or of the one that was refused
	refusal error        // why a cookie or query was refused; nil: it was not, or there was none
	wait    *wait        // the answer that the client waits for; nil: none
	greets  bool         // that answer is the one to the first message
	backlog []later
	size    int64      // of backlog, in bytes
	payer   ledger.Key // of backlog
}

// Identity is the client's identity by its token; zero if it is anonymous.
func (c *Client) Identity() auth.Identity {
	if id := c.who(); id != nil {
		return *id
	}
	return auth.Identity{}
}

// Authenticated reports whether the client has shown a token.
func (c *Client) Authenticated() bool { return c.who() != nil }

// Payer is the payer for everything that the server keeps or does for the client: its user, if it has shown a token,
// else its address.
func (c *Client) Payer(conn perch.Conn) ledger.Key {
	if id := c.who(); id != nil {
		return ledger.User(id.Subject)
	}
	return ledger.Address(limit.ShareOf(conn.RemoteAddr().Addr()))
}

// Session is the key of the session that the client holds, or held before another connection took it; zero: none.
func (c *Client) Session() session.Key { return c.session }

// Close closes the connection as conn.Close does. Messages that the client has sent while it waited are dropped.
func (c *Client) Close(conn perch.Conn, code perch.CloseCode, reason string) {
	c.closing = true
	_ = conn.Close(code, reason) // an error means that it is closing already
}

// clientOf returns the Client of a connection at an endpoint.
func clientOf(conn perch.Conn) *Client { return conn.Value().(*Client) }

// realm returns the Realm of the client's endpoint.
func (c *Client) realm() *Realm { return c.at.realm }
