package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

const (
	maxBacklog     = 32       // messages
	maxBacklogSize = 64 << 10 // bytes that may be there when another one comes
)

// later is a message that waits until its client is resumed.
type later struct {
	op perch.Opcode
	p  []byte
}

// Suspend has messages of the client wait until Resume: for an answer that another goroutine is working on.
// What is too much to wait is answered with CodeBusy.
func (c *Client) Suspend() { c.holding().suspended = true }

// Resume handles what has come since Suspend, in order, as if it came now. It stops when the client is
// suspended again or closed. Without a Suspend before it it does nothing.
func (c *Client) Resume(conn perch.Conn) {
	e := c.held()
	if e == nil {
		return
	}
	e.suspended = false
	for len(e.backlog) > 0 && !e.suspended && !c.closing {
		next := e.backlog[0]
		e.backlog[0] = later{}
		e.backlog = e.backlog[1:]
		e.size -= len(next.p)
		c.handle(conn, next.op, next.p)
	}
	if !e.suspended && c.phase != greeting && c.rare != nil {
		c.rare.early = nil
		c.tidy()
	}
}

// postpone keeps a message for Resume.
func (c *Client) postpone(conn perch.Conn, op perch.Opcode, p []byte) {
	e := c.held()
	if len(e.backlog) < maxBacklog && e.size <= maxBacklogSize {
		e.backlog = append(e.backlog, later{op, append([]byte(nil), p...)})
		e.size += len(p)
		return
	}
	m, _ := parse(op, p)
	c.Fail(conn, m.ID(), &protocol.Error{Code: protocol.CodeBusy})
}
