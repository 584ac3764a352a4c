package endpoint

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

const (
	maxChat       = 16 << 10 // bytes of a message
	sessionCookie = "session_id"
	maxExact      = 1<<53 - 1 // the largest integer that every reader of JSON keeps exactly (RFC 8259 §6)
)

// numbered is the State of a client of /ws/{client_id}.
type numbered struct {
	user      string
	creations protocol.Budget // rooms made
}

// byClientID is /ws/{client_id}: a client with a number, which must be the subject of its token if it has one. It
// subscribes to rooms of the hub.
func (r *Realm) byClientID(hub *room.Hub) perch.Handler {
	return r.Handler(Endpoint{
		Name:     pathClientID,
		Settings: perch.Settings{Subprotocols: []string{"chat.v1", Subprotocol}},
		BadToken: "Invalid user",
		Upgrade: func(req *perch.Request) perch.Response {
			if _, err := strconv.ParseInt(req.PathValue("client_id"), 10, 64); err != nil {
				return perch.Reject(http.StatusNotFound, "not found")
			}
			return perch.Response{}
		},
		Open:      openNumbered,
		Other:     numberedOther,
		Refreshed: leaveForbidden,
		Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
			switch typ {
			case protocol.TypeChat:
				return c.chat(conn, m)
			case protocol.TypePing:
				return c.pong(conn, m)
			case protocol.TypeSubscribe:
				return c.subscribe(conn, hub, m)
			case protocol.TypeUnsubscribe:
				return c.unsubscribe(conn, hub, m)
			}
			return Unknown(typ)
		},
	})
}

func openNumbered(conn perch.Conn, c *Client, r *perch.Request) {
	id, _ := strconv.ParseInt(r.PathValue("client_id"), 10, 64) // Upgrade has refused everything else
	user := strconv.FormatInt(id, 10)                           // 007 becomes 7
	if c.Authenticated() && c.who().Subject != user {
		c.refuse(conn, nil, auth.ErrWrongSubject, auth.CarrierNone, r.RemoteAddr())
		return
	}
	c.State = &numbered{user: user}
	c.log(conn, slog.LevelDebug, "client has a name", slog.Int64("client_id", id))
	o := protocol.NewObject(nil, protocol.TypeConnected)
	if -maxExact <= id && id <= maxExact {
		o = o.Int("client_id", id)
	} else {
		o = o.String("client_id", user)
	}
	if r.Cookie(sessionCookie) != "" { // not its value: a page may not read a cookie that is HttpOnly
		o = o.Bool("session_cookie", true)
	}
	send(conn, o)
}

// chat sends the client its message back, with its user id.
func (c *Client) chat(conn perch.Conn, m protocol.Message) error {
	text, err := m.String("message", maxChat, true)
	if err != nil {
		return err
	}
	o := protocol.NewObject(nil, protocol.TypeChat).String("user_id", c.State.(*numbered).user)
	send(conn, o.String("message", text).Time("timestamp", c.realm().Now()).ID(m.ID()))
	return nil
}

// numberedOther sends text back as the echo endpoint does, and bytes in reverse order.
func numberedOther(conn perch.Conn, op perch.Opcode, p []byte, err error) error {
	switch protocol.AsError(err).Code {
	case protocol.CodeTooDeep, protocol.CodeTooManyMembers:
		return err
	}
	if op == perch.Text {
		p = append(append(make([]byte, 0, len("Echo: ")+len(p)), "Echo: "...), p...)
	} else {
		p = slices.Clone(p)
		slices.Reverse(p)
	}
	_ = conn.Send(op, p)
	return nil
}
