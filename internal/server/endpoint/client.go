package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// Client is the state of one connection at an endpoint, and the connection's user value. Like the
// perch.Conn it comes with it is the loop's. Idle and anonymous it is 64 bytes, and what State points to.
type Client struct {
	State any // the endpoint's own

	// Owned by the loop.
	at      *served
	session session.Key // zero: none
	rare    *rare       // nil: it has none of that
	pings   uint32      // JSON pings sent
	phase   phase
	closing bool
}

// rare is what an idle client without a token does not have.
type rare struct {
	identity *auth.Identity // nil: anonymous
	expiry   *alarm         // for the end of its token; nil: that has none
	first    *deadline      // for its first message; nil: it has come, or may take its time
	early    *early         // nil: nothing holds up what it sends
	keeping  *keeping       // nil: no state is on its way to the store
	errors   protocol.Budget
}

// rarely is the client's rare part, made if there is none.
func (c *Client) rarely() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

// tidyEarly lets go of what is not needed once the first message has come and nothing is waited for.
func (c *Client) tidyEarly() {
	if e := c.held(); e != nil && e.wait == nil && len(e.backlog) == 0 && c.phase != greeting {
		c.rare.early = nil
		c.tidy()
	}
}

// tidy lets go of a rare part with nothing in it.
func (c *Client) tidy() {
	if c.rare != nil && *c.rare == (rare{}) {
		c.rare = nil
	}
}

// who is the client's identity; nil: anonymous.
func (c *Client) who() *auth.Identity {
	if c.rare == nil {
		return nil
	}
	return c.rare.identity
}

// held is what holds up what the client sends; nil: nothing does.
func (c *Client) held() *early {
	if c.rare == nil {
		return nil
	}
	return c.rare.early
}

// holding is held, made if there is none.
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
	greeting              // who it is must still come
	fresh                 // nothing has come
	active
)

// early is what only a client needs whose first message is waited for, or that waits for an answer.
type early struct {
	token   *[32]byte    // hash of the token that was shown last; nil: none that was good
	carrier auth.Carrier // of that, or of what was refused
	refusal error        // why a cookie or query was no good; nil: it was, or there was none
	wait    *wait        // the answer that is waited for; nil: none
	greets  bool         // that answer is to the first message
	backlog []later
	size    int64      // of backlog, in bytes
	payer   ledger.Key // of backlog
}

// Identity is who the client is by its token; zero if it is anonymous.
func (c *Client) Identity() auth.Identity {
	if id := c.who(); id != nil {
		return *id
	}
	return auth.Identity{}
}

// Authenticated reports whether the client has shown a token.
func (c *Client) Authenticated() bool { return c.who() != nil }

// Payer is who pays for what the server keeps or does for the client: its user, if it has shown a token, else its
// address.
func (c *Client) Payer(conn perch.Conn) ledger.Key {
	if id := c.who(); id != nil {
		return ledger.User(id.Subject)
	}
	return ledger.Address(limit.ShareOf(conn.RemoteAddr().Addr()))
}

// Session is the key of the session that the client holds, or held until another connection took it;
// zero: none.
func (c *Client) Session() session.Key { return c.session }

// Close closes the connection, as conn.Close does, and handles nothing that the client has sent while it waited.
func (c *Client) Close(conn perch.Conn, code perch.CloseCode, reason string) {
	c.closing = true
	_ = conn.Close(code, reason) // its error says that it is closing already
}

// clientOf is the Client of a connection at an endpoint.
func clientOf(conn perch.Conn) *Client { return conn.Value().(*Client) }

// realm is what the client's endpoint shares with others.
func (c *Client) realm() *Realm { return c.at.realm }
