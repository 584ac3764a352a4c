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

// maxUserAgent is how many bytes of the User-Agent are kept.
const maxUserAgent = 512

// withSession is /ws/with-session: clients read and write their session.
func (r *Realm) withSession() perch.Handler {
	return r.Handler(Endpoint{
		Name: pathWithSession,
		Open: func(conn perch.Conn, c *Client, req *perch.Request) {
			o := protocol.NewObject(nil, "").String("user_agent", cut(req.Header("User-Agent"), maxUserAgent))
			o = o.String("ip_address", req.RemoteAddr().String()).Time("connected_at", r.Now())
			openSession(conn, c, o.End(), func(conn perch.Conn, _ *Client, s session.Session) {
				o := protocol.NewObject(nil, protocol.TypeSessionCreated).String("session_id", s.ID.Text())
				send(conn, o.Raw("session", sessionJSON(s)))
			})
		},
		Message: sessionMessage,
	})
}

func sessionMessage(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
	switch typ {
	case protocol.TypeGetSession:
		call := session.Call{Op: session.OpGet, ID: c.session}
		return ask(conn, c, m.ID(), call, protocol.TypeSessionData, showSession)
	case protocol.TypeUpdateSession:
		data := m.Raw("data")
		if data == nil {
			return &protocol.Error{Code: protocol.CodeMissingField, Field: "data"}
		}
		call := session.Call{Op: session.OpUpdate, ID: c.session, Bytes: data}
		return ask(conn, c, m.ID(), call, protocol.TypeSessionUpdated, showSession)
	case protocol.TypeResume:
		return resumeSession(conn, c, m, func(conn perch.Conn, _ *Client, id json.RawMessage, s session.Session) {
			o := protocol.NewObject(nil, protocol.TypeSessionData).Bool("resumed", true)
			send(conn, o.Raw("session", sessionJSON(s)).ID(id))
		})
	case protocol.TypeLogout:
		return ask(conn, c, m.ID(), session.Call{Op: session.OpDelete, ID: c.session}, struct{}{}, loggedOut)
	case protocol.TypePing:
		return c.pong(conn, m)
	}
	return Unknown(typ)
}

// showSession sends a session to its owner, in a message of type typ.
func showSession(typ string, conn perch.Conn, _ *Client, id json.RawMessage, a session.Answer) error {
	if a.Err != nil {
		return sessionError(a.Err)
	}
	send(conn, protocol.NewObject(nil, typ).Raw("session", sessionJSON(a.Session)).ID(id))
	return nil
}

// loggedOut is called when the session has ended, also if another connection held it.
func loggedOut(_ struct{}, conn perch.Conn, c *Client, id json.RawMessage, a session.Answer) error {
	if a.Err != nil && !errors.Is(a.Err, session.ErrNotFound) {
		return sessionError(a.Err)
	}
	c.session = session.Key{}
	if a.Err != nil {
		return sessionError(a.Err)
	}
	send(conn, protocol.NewObject(nil, protocol.TypeLoggedOut).ID(id))
	c.Close(conn, perch.CloseNormal, "")
	return nil
}

// openSession gives a new client a session. A client that gets none is closed.
func openSession(conn perch.Conn, c *Client, data []byte, then func(perch.Conn, *Client, session.Session)) {
	_ = Begin(conn, c, nil, Beginning{Data: data}, then, sessionOpened) // it tells the client itself
}

func sessionOpened(then func(perch.Conn, *Client, session.Session), conn perch.Conn, c *Client, _ json.RawMessage, s session.Session, err error) error {
	if err == nil {
		then(conn, c, s)
		return nil
	}
	code, reason := perch.CloseTryAgainLater, reasonFull
	if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Code != protocol.CodeBusy {
		c.log(conn, slog.LevelError, "no session", slog.String("error", err.Error()))
		code, reason = perch.CloseInternalError, reasonInternal
	}
	c.Close(conn, code, reason)
	return nil
}

// resumeSession takes the session that a resume message names, by its key or a resume token. That must be the first
// message.
func resumeSession(conn perch.Conn, c *Client, m protocol.Message,
	then func(conn perch.Conn, c *Client, id json.RawMessage, s session.Session),
) error {
	if c.phase != fresh {
		return &protocol.Error{Code: protocol.CodeUnexpected, Message: "Only the first message can resume a session."}
	}
	name := "session"
	if m.Raw(name) == nil && m.Raw("resume_token") != nil {
		name = "resume_token"
	}
	key, err := m.String(name, protocol.MaxScalar, true)
	if err != nil {
		return err
	}
	return Take(conn, c, m.ID(), key, then, sessionResumed)
}

func sessionResumed(then func(perch.Conn, *Client, json.RawMessage, session.Session), conn perch.Conn, c *Client, id json.RawMessage, s session.Session, err error) error {
	if err != nil {
		return err
	}
	then(conn, c, id, s)
	return nil
}

// sessionJSON is the part of a session that its owner may see.
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
