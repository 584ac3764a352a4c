package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// pong answers a client's ping, with its timestamp unchanged.
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

// heartbeat sends a silent client a JSON ping, beside the engine's ping frame, because a page cannot see that.
// Anything that the client then sends is a sign of life.
func heartbeat(conn perch.Conn) {
	c := clientOf(conn)
	c.pings++
	var buf [128]byte
	send(conn, protocol.NewObject(buf[:0], protocol.TypePing).
		Time("timestamp", c.realm().Now()).Uint("sequence", uint64(c.pings)))
}
