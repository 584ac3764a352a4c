package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
)

// kindTimeout is the kind of errors without a message; all other kinds are codes.
const kindTimeout = "timeout"

func message(conn perch.Conn, op perch.Opcode, p []byte) {
	c := clientOf(conn)
	if c.suspended() {
		c.postpone(conn, op, p)
		return
	}
	c.handle(conn, op, p)
}

// handle handles a message and measures it.
func (c *Client) handle(conn perch.Conn, op perch.Opcode, p []byte) {
	cfg := &c.realm().cfg
	start := cfg.Clock.Now()
	typ := c.dispatch(conn, op, p)
	took := time.Duration(cfg.Clock.Now() - start)
	cfg.Meter.Message(c.at.Name, typ, len(p), took)
	if cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.log(conn, slog.LevelDebug, "message", slog.String("direction", "in"), slog.String("message_type", typ),
			slog.Int("message_size", len(p)), slog.Duration("took", took))
	}
}

// dispatch passes a message to the function that handles it. It returns its type, if there is one.
func (c *Client) dispatch(conn perch.Conn, op perch.Opcode, p []byte) (typ string) {
	m, err := parse(op, p)
	if err != nil {
		if err = c.at.Other(conn, op, p, err); err != nil {
			c.Fail(conn, nil, err)
		}
		return ""
	}
	err = m.CheckID()
	if err == nil && (m.Raw("type") != nil || c.phase != greeting && !c.at.Untyped) {
		typ, err = m.Type()
	}
	switch {
	case err != nil:
	case c.phase == greeting:
		err = c.greet(conn, m)
	case typ == protocol.TypeRefreshToken:
		err = c.refresh(conn, m)
	case typ == protocol.TypePong && c.at.Heartbeat: // that it came is enough
	default:
		err = c.at.Message(conn, c, typ, m)
		c.phase = active
	}
	if err != nil {
		c.Fail(conn, m.ID(), err)
	}
	return typ
}

func parse(op perch.Opcode, p []byte) (protocol.Message, error) {
	if op != perch.Text {
		return protocol.Message{}, &protocol.Error{Code: protocol.CodeNotText}
	}
	return protocol.Parse(p)
}

// Fail tells the client about an error: an *auth.Error, a *protocol.Error, or a fault of ours, which is logged and
// not shown. id, if there is one, is that of the message that failed. If the client has made too many errors, the
// connection is closed with 1008.
func (c *Client) Fail(conn perch.Conn, id json.RawMessage, err error) {
	if a, ok := errors.AsType[*auth.Error](err); ok {
		err = &protocol.Error{Code: protocol.Code(a.Code), Message: a.Reason}
	}
	e := protocol.AsError(err)
	if e.RoomID != "" && !c.Identity().MayJoin(e.RoomID) { // the client is not to know of that room
		other := *e
		other.RoomID, e = "", &other
	}
	cfg := &c.realm().cfg
	cfg.Meter.Error(c.at.Name, string(e.Code))
	var buf [512]byte
	_ = conn.Send(perch.Text, c.at.Error(buf[:0], id, e))
	switch e.Code {
	case protocol.CodeInternal:
		c.log(conn, slog.LevelError, "a message could not be handled", slog.String("error", err.Error()))
	case protocol.CodeBusy, protocol.CodeQueueFull, protocol.CodeUnavailable: // our faults, too
	default:
		if !c.rarely().errors.Take(cfg.Clock.Now(), cfg.MaxErrors) {
			c.Close(conn, perch.ClosePolicyViolation, reasonErrors)
		}
	}
}

// Unknown is the error for a message type that an endpoint does not know.
func Unknown(typ string) error {
	return &protocol.Error{Code: protocol.CodeUnknownType, Message: "Unknown message type: " + typ}
}

// send sends a message. An error would mean that the connection is closing; Endpoint.Close will be called.
func send(conn perch.Conn, o protocol.Object) { _ = conn.Send(perch.Text, o.End()) }

func (c *Client) log(conn perch.Conn, level slog.Level, msg string, attrs ...slog.Attr) {
	log := c.realm().cfg.Log
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs = append(attrs, slog.String("endpoint", c.at.Name), slog.String("connection_id", conn.ID().String()))
	if id := c.who(); id != nil {
		attrs = append(attrs, slog.String("user_id", id.Subject))
	}
	log.LogAttrs(context.Background(), level, msg, attrs...)
}
