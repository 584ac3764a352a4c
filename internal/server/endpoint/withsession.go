package endpoint

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// maxUserAgent is how much of that header is kept, in bytes.
const maxUserAgent = 512

// withSession is /ws/with-session: a session to look at and to write into.
func (r *Realm) withSession() perch.Handler {
	return r.Handler(Endpoint{
		Name: pathWithSession,
		Open: func(conn perch.Conn, c *Client, req *perch.Request) {
			o := protocol.NewObject(nil, "").String("user_agent", cut(req.Header("User-Agent"), maxUserAgent))
			o = o.String("ip_address", req.RemoteAddr().String()).Time("connected_at", r.Now())
			if s, ok := c.openSession(conn, o.End()); ok {
				o := protocol.NewObject(nil, protocol.TypeSessionCreated).String("session_id", s.ID.Text())
				send(conn, o.Raw("session", sessionJSON(s)))
			}
		},
		Message: sessionMessage,
	})
}

func sessionMessage(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
	var s session.Session
	var err error
	o := protocol.NewObject(nil, protocol.TypeSessionData)
	switch typ {
	case protocol.TypeGetSession:
		s, err = c.Current()
	case protocol.TypeUpdateSession:
		o = protocol.NewObject(nil, protocol.TypeSessionUpdated)
		data := m.Raw("data")
		if data == nil {
			return &protocol.Error{Code: protocol.CodeMissingField, Field: "data"}
		}
		s, err = c.Update(data)
	case protocol.TypeResume:
		s, err = c.resume(conn, m)
		o = o.Bool("resumed", true)
	case protocol.TypeLogout:
		if err = c.Logout(); err != nil {
			return err
		}
		send(conn, protocol.NewObject(nil, protocol.TypeLoggedOut).ID(m.ID()))
		c.Close(conn, perch.CloseNormal, "")
		return nil
	case protocol.TypePing:
		return c.pong(conn, m)
	default:
		return Unknown(typ)
	}
	if err != nil {
		return err
	}
	send(conn, o.Raw("session", sessionJSON(s)).ID(m.ID()))
	return nil
}

// openSession gives a new client a session. Without one it cannot stay and is closed.
func (c *Client) openSession(conn perch.Conn, data []byte) (session.Session, bool) {
	s, err := c.Begin(conn, "", data, nil)
	if err == nil {
		return s, true
	}
	code, reason := perch.CloseTryAgainLater, reasonFull
	if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Code != protocol.CodeBusy {
		c.log(conn, slog.LevelError, "no session", slog.String("error", err.Error()))
		code, reason = perch.CloseInternalError, reasonInternal
	}
	c.Close(conn, code, reason)
	return s, false
}

// resume takes the session that a resume message names, by its key or a resume token. It must be the first
// message.
func (c *Client) resume(conn perch.Conn, m protocol.Message) (session.Session, error) {
	if c.phase != fresh {
		return session.Session{}, &protocol.Error{
			Code: protocol.CodeUnexpected, Message: "Only the first message can resume a session.",
		}
	}
	name := "session"
	if m.Raw(name) == nil && m.Raw("resume_token") != nil {
		name = "resume_token"
	}
	key, err := m.String(name, protocol.MaxScalar, true)
	if err != nil {
		return session.Session{}, err
	}
	return c.Take(conn, key)
}

// sessionJSON is what its owner may see of a session.
func sessionJSON(s session.Session) json.RawMessage {
	b, _ := s.MarshalJSON() // strings and times: it cannot fail
	return b
}

// cut returns at most so many bytes of s.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
