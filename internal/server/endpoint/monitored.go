package endpoint

import (
	"log/slog"
	"unicode/utf8"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/protocol"
)

// maxClientID bounds the name that a client chooses, in bytes.
const maxClientID = 128

// monitored is /ws/monitored: it acknowledges every message, so that clients can measure. It has no rate limit.
func (r *Realm) monitored() perch.Handler {
	return r.Handler(Endpoint{
		Name:     pathMonitored,
		Settings: perch.Settings{Rate: perch.Rate{Messages: -1, Burst: -1, Bytes: -1}},
		Untyped:  true,
		Open: func(conn perch.Conn, c *Client, req *perch.Request) {
			if id, ok := c.name(conn, req); ok {
				c.State = id
			}
		},
		Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
			var buf [512]byte
			o := protocol.NewObject(buf[:0], protocol.TypeAck).String("client_id", c.State.(string))
			send(conn, o.String("received", typ).Time("timestamp", r.Now()).ID(m.ID()))
			return nil
		},
		Other: func(_ perch.Conn, _ perch.Opcode, _ []byte, err error) error {
			if e := protocol.AsError(err); e.Code == protocol.CodeInvalidJSON {
				return &protocol.Error{Code: e.Code, Message: "Invalid JSON"}
			}
			return err
		},
	})
}

// name returns the name that a client gives itself by ?client_id=. A client without a name is closed.
func (c *Client) name(conn perch.Conn, r *perch.Request) (id string, ok bool) {
	id = r.Query("client_id")
	switch {
	case label.Blank(id):
		c.Close(conn, perch.ClosePolicyViolation, "client_id is missing")
	case len(id) > maxClientID || !utf8.ValidString(id):
		c.Close(conn, perch.ClosePolicyViolation, "client_id is over 128 bytes, or not UTF-8")
	default:
		c.log(conn, slog.LevelDebug, "client has a name", slog.String("client_id", id))
		return id, true
	}
	return "", false
}
