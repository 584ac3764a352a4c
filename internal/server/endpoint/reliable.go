package endpoint

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/session"
)

// How long a client of /ws/reliable may be silent.
const (
	reliableInterval = 10 * time.Second // then it is pinged
	reliableTimeout  = 30 * time.Second // then it is closed, with 3001
)

// reliability is the State of a client of /ws/reliable.
type reliability struct {
	received uint64
	rtt      time.Duration // of the engine's last ping; 0: there was none yet
}

// reliable is /ws/reliable: heartbeats, acknowledgements and a session that can be resumed.
func (r *Realm) reliable() perch.Handler {
	return r.Handler(Endpoint{
		Name:      pathReliable,
		Settings:  perch.Settings{PingInterval: reliableInterval, PingTimeout: reliableTimeout},
		Heartbeat: true,
		Untyped:   true,
		Open: func(conn perch.Conn, c *Client, req *perch.Request) {
			if _, ok := c.name(conn, req); !ok {
				return
			}
			openSession(conn, c, nil, func(conn perch.Conn, c *Client, s session.Session) {
				c.State = new(reliability)
				send(conn, connected(conn, s))
			})
		},
		Message: reliableMessage,
		Pong: func(conn perch.Conn, rtt time.Duration) {
			if s, ok := clientOf(conn).State.(*reliability); ok {
				s.rtt = rtt
			}
		},
	})
}

func reliableMessage(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
	state := c.State.(*reliability)
	now := c.realm().Now()
	var o protocol.Object
	switch typ {
	case protocol.TypePing:
		return c.pong(conn, m)
	case protocol.TypeResume:
		return resumeSession(conn, c, m, func(conn perch.Conn, _ *Client, id json.RawMessage, s session.Session) {
			send(conn, connected(conn, s).Bool("resumed", true).ID(id))
		})
	case protocol.TypeReconnectRequest:
		return ask(conn, c, m.ID(), session.Call{Op: session.OpToken, ID: c.session}, struct{}{}, reconnectAck)
	case protocol.TypeHealth:
		o = appendHealth(protocol.NewObject(nil, protocol.TypeHealth), conn.Silence(), reliableTimeout, state.rtt)
	default:
		state.received++
		id := conn.ID().String() + "-" + strconv.FormatUint(state.received, 10)
		o = protocol.NewObject(nil, protocol.TypeAck).String("message_id", id).Time("timestamp", now)
	}
	send(conn, o.ID(m.ID()))
	return nil
}

// reconnectAck tells a client the token with which it may resume once.
func reconnectAck(_ struct{}, conn perch.Conn, c *Client, id json.RawMessage, a session.Answer) error {
	if a.Err != nil {
		return sessionError(a.Err)
	}
	o := protocol.NewObject(nil, protocol.TypeReconnectAck).String("session", c.session.Text())
	send(conn, o.String("resume_token", a.Token.Text()).ID(id))
	return nil
}

// connected begins the first message about a session.
func connected(conn perch.Conn, s session.Session) protocol.Object {
	return protocol.NewObject(nil, protocol.TypeConnected).String("connection_id", conn.ID().String()).
		String("session", s.ID.Text()).Int("heartbeat_interval", int64(reliableInterval/time.Second))
}

// health describes a connection by the time since it was last heard. A connection silent for timeout is closed; after
// four fifths of that it gets a warning.
func health(silence, timeout time.Duration) string {
	switch {
	case silence >= timeout:
		return "timeout"
	case silence > timeout/5*4:
		return "warning"
	}
	return "healthy"
}

func appendHealth(o protocol.Object, silence, timeout, rtt time.Duration) protocol.Object {
	o = o.String("status", health(silence, timeout)).Int("silence_ms", silence.Milliseconds()).
		Int("timeout_ms", timeout.Milliseconds())
	if rtt > 0 {
		o = o.Raw("rtt_ms", strconv.AppendFloat(nil, float64(rtt.Microseconds())/1000, 'f', -1, 64))
	}
	return o
}
