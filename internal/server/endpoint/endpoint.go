package endpoint

import (
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// Subprotocol is accepted at every endpoint: a browser offers it beside bearer.<token>.
const Subprotocol = "perch.v1"

// Endpoint is what one path does. Its functions run on the connection's loop. Message is needed; any other
// that is nil does nothing unless its comment says more.
//
// An error that First, Message or Other returns goes to the client as Client.Fail sends it.
type Endpoint struct {
	Name      string         // in logs and metrics: its pattern, as in protocol.Endpoints
	Settings  perch.Settings // no Subprotocols: Subprotocol alone
	Heartbeat bool           // a silent client gets a JSON ping too, and its pong goes no further
	BadToken  string         // close reason for a token that is no good; "": "Invalid token"
	Untyped   bool           // Message gets what has no type too, with typ ""

	// Upgrade may refuse the handshake.
	Upgrade func(r *perch.Request) perch.Response

	// Open is for a client that is admitted; with First it may not have shown its token yet. r is valid until it
	// returns.
	Open func(conn perch.Conn, c *Client, r *perch.Request)

	// First gets the first message, whatever its type, when a token in it is checked. If it returns an error
	// it gets the next one too. A client has Config.FirstFrame to send one that is good, and may come
	// without a token up to then.
	First func(conn perch.Conn, c *Client, m protocol.Message) error

	// Message gets every other message. m is valid until it returns.
	Message func(conn perch.Conn, c *Client, typ string, m protocol.Message) error

	// Other gets what is no JSON object in text, and why. p is valid until it returns. nil: err is returned.
	Other func(conn perch.Conn, op perch.Opcode, p []byte, err error) error

	// Error appends what a client is told of an error. nil: protocol.AppendError.
	Error func(dst []byte, id json.RawMessage, e *protocol.Error) []byte

	// Refreshed is called when a client has shown a new token: its Identity may be good for less.
	Refreshed func(conn perch.Conn, c *Client)

	// Pong is perch.Handler's OnPong.
	Pong func(conn perch.Conn, rtt time.Duration)

	// Close is for a client that was admitted. Its session is detached, or ends, afterwards.
	Close func(conn perch.Conn, c *Client, err *perch.CloseError)
}

// served is an Endpoint in a Realm.
type served struct {
	Endpoint
	realm *Realm
}

// Handler makes an Endpoint callbacks for the engine.
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
