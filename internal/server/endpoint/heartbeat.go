package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// pong answers a client's ping, whose timestamp goes back as it came.
func (c *Client) pong(conn perch.Conn, m protocol.Message) error {
	sent, err := m.Scalar("timestamp")
	if err != nil {
		return err
	}
	var buf [384]byte
	o := protocol.NewObject(buf[:0], protocol.TypePong).Raw("original_timestamp", sent)
	send(conn, o.Time("timestamp", c.realm().Now()).ID(m.ID()))
	return nil
}

// heartbeat tells a silent client in JSON what the engine is about to tell it in a ping frame: a page cannot
// see those. Everything that the client sends then is a sign of life.
func heartbeat(conn perch.Conn) {
	c := clientOf(conn)
	c.pings++
	var buf [128]byte
	send(conn, protocol.NewObject(buf[:0], protocol.TypePing).
		Time("timestamp", c.realm().Now()).Uint("sequence", uint64(c.pings)))
}
