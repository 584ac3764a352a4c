package endpoint

import (
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// Subprotocol is accepted at every endpoint: a browser offers it together with bearer.<token>.
const Subprotocol = "perch.v1"

// Endpoint describes one path. Its functions run on the connection's loop. Message is needed; any other function may
// be nil, and then does nothing unless its comment says more.
//
// An error that First, Message or Other returns goes to the client as Client.Fail sends it.
type Endpoint struct {
	Name      string         // in logs and metrics: its pattern, as in protocol.Endpoints
	Settings  perch.Settings // without Subprotocols: only Subprotocol is accepted
	Heartbeat bool           // a silent client gets a JSON ping too, and its pong goes no further
	BadToken  string         // close reason for a bad token; "": "Invalid token"
	Untyped   bool           // Message also gets messages without a type, with typ ""

	// Upgrade may refuse the handshake.
	Upgrade func(r *perch.Request) perch.Response

	// Open is called for a client that is admitted; with First it may not have shown its token yet. r is valid until
	// Open returns.
	Open func(conn perch.Conn, c *Client, r *perch.Request)

	// First gets the first message, of any type, when a token in it was checked. If it returns an error it gets the
	// next one too. A client has Config.FirstFrame to send a good one, and until then need not show a token.
	First func(conn perch.Conn, c *Client, m protocol.Message) error

	// Message gets every other message. m is valid until it returns.
	Message func(conn perch.Conn, c *Client, typ string, m protocol.Message) error

	// Other gets messages that are not a JSON object in text, and the error. p is valid until it returns. nil: err is
	// returned.
	Other func(conn perch.Conn, op perch.Opcode, p []byte, err error) error

	// Error appends the message that tells a client of an error. nil: protocol.AppendError.
	Error func(dst []byte, id json.RawMessage, e *protocol.Error) []byte

	// Refreshed is called when a client has shown a new token: its Identity may allow less.
	Refreshed func(conn perch.Conn, c *Client)

	// Pong is perch.Handler's OnPong.
	Pong func(conn perch.Conn, rtt time.Duration)

	// Close is called for a client that was admitted. Afterwards its session is detached, or ends.
	Close func(conn perch.Conn, c *Client, err *perch.CloseError)
}

// served is an Endpoint in a Realm.
type served struct {
	Endpoint
	realm *Realm
}

// Handler makes the engine's callbacks for an Endpoint.
func (r *Realm) Handler(e Endpoint) perch.Handler {
	if e.Settings.Subprotocols == nil {
		e.Settings.Subprotocols = []string{Subprotocol}
	}
	if e.BadToken == "" {
		e.BadToken = reasonInvalid
	}
	if e.Error == nil {
		e.Error = protocol.AppendError
	}
	if e.Other == nil {
		e.Other = func(_ perch.Conn, _ perch.Opcode, _ []byte, err error) error { return err }
	}
	s := &served{Endpoint: e, realm: r}
	h := perch.Handler{
		Settings:  e.Settings,
		OnUpgrade: s.upgrade,
		OnOpen:    s.open,
		OnMessage: message,
		OnPong:    e.Pong,
		OnClose:   closed,
	}
	if e.Heartbeat {
		h.OnPing = heartbeat
	}
	return h
}

func (s *served) upgrade(r *perch.Request) perch.Response {
	resp := s.realm.cfg.Upgrade(r)
	if resp.Status == 0 && s.Upgrade != nil {
		return s.Upgrade(r)
	}
	return resp
}

func (s *served) open(conn perch.Conn, r *perch.Request) {
	c := &Client{at: s}
	conn.SetValue(c)
	if !c.admit(conn, r) {
		return
	}
	if s.First != nil {
		c.await(conn)
	} else {
		c.phase = fresh
	}
	c.arm(conn)
	if s.Open != nil {
		s.Open(conn, c, r)
	}
}

func closed(conn perch.Conn, err *perch.CloseError) {
	c := clientOf(conn)
	c.disarm()
	c.leaveWait()
	if errors.Is(err, perch.ErrHeartbeat) {
		c.realm().cfg.Meter.Error(c.at.Name, kindTimeout)
	}
	if c.phase != refused && c.at.Close != nil {
		c.at.Close(conn, c, err)
	}
	c.leaveSession(conn, err)
	c.log(conn, slog.LevelDebug, "closed", slog.Int("code", int(err.Code)), slog.String("reason", err.Reason))
}
