package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/protocol"
)

const (
	maxBacklog     = 32       // messages of one client
	maxBacklogSize = 64 << 10 // bytes that may be there when another one comes
	laterCost      = 64       // what a message takes beside its bytes, about
)

// DefaultMaxWaiting is how many bytes of messages may wait, of all clients together.
const DefaultMaxWaiting = 64 << 20

// later is a message that waits until its client waits no more.
type later struct {
	op perch.Opcode
	p  []byte
}

// cost is what it takes of all bounds in bytes.
func (m later) cost() int64 { return int64(len(m.p)) + laterCost }

// Waiting are figures of the messages that wait: see Config.MaxWaiting.
func (r *Realm) Waiting() ledger.Stats { return r.backlogs.Stats() }

// catchUp handles what has come while the client waited, in order, as if it came now. It stops when the client
// waits again or is closed.
func (c *Client) catchUp(conn perch.Conn) {
	e := c.held()
	if e == nil {
		return
	}
	for len(e.backlog) > 0 && e.wait == nil && !c.closing {
		next := e.backlog[0]
		e.backlog[0] = later{}
		e.backlog = e.backlog[1:]
		e.size -= next.cost()
		c.realm().backlogs.Add(e.payer, -next.cost())
		c.handle(conn, next.op, next.p)
	}
	c.tidyEarly()
}

// postpone keeps a message for catchUp. A message for which there is no room is
// answered with CodeBusy.
func (c *Client) postpone(conn perch.Conn, op perch.Opcode, p []byte) {
	e := c.held()
	m := later{op, append([]byte(nil), p...)}
	if len(e.backlog) == 0 {
		e.payer = c.Payer(conn) // a token may come meanwhile
	}
	if len(e.backlog) < maxBacklog && e.size <= maxBacklogSize && c.realm().backlogs.Take(e.payer, m.cost()) == nil {
		e.backlog = append(e.backlog, m)
		e.size += m.cost()
		return
	}
	msg, _ := parse(op, p)
	c.Fail(conn, msg.ID(), &protocol.Error{Code: protocol.CodeBusy})
}

// dropBacklog lets go of what waits.
func (c *Client) dropBacklog() {
	e := c.held()
	c.realm().backlogs.Add(e.payer, -e.size)
	e.backlog, e.size = nil, 0
}
