package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/protocol"
)

const (
	maxBacklog     = 32       // messages of one client
	maxBacklogSize = 64 << 10 // bytes that may wait when another message comes
	laterCost      = 64       // memory of a waiting message beside its bytes, about
)

// DefaultMaxWaiting bounds the bytes of waiting messages of all clients together.
const DefaultMaxWaiting = 64 << 20

// later is a message that waits until its client no longer waits.
type later struct {
	op perch.Opcode
	p  []byte
}

// cost is the number of bytes that it counts as.
func (m later) cost() int64 { return int64(len(m.p)) + laterCost }

// Waiting returns figures about the messages that wait: see Config.MaxWaiting.
func (r *Realm) Waiting() ledger.Stats { return r.backlogs.Stats() }

// catchUp handles the messages that have come while the client waited, in order, as if they came now. It stops when
// the client waits again or is closed.
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

// postpone keeps a message for catchUp. If there is no room it is answered with CodeBusy.
func (c *Client) postpone(conn perch.Conn, op perch.Opcode, p []byte) {
	e := c.held()
	m := later{op, append([]byte(nil), p...)}
	if len(e.backlog) == 0 {
		e.payer = c.Payer(conn) // a token may come meanwhile, so the payer stays the same
	}
	if len(e.backlog) < maxBacklog && e.size <= maxBacklogSize && c.realm().backlogs.Take(e.payer, m.cost()) == nil {
		e.backlog = append(e.backlog, m)
		e.size += m.cost()
		return
	}
	msg, _ := parse(op, p)
	c.Fail(conn, msg.ID(), &protocol.Error{Code: protocol.CodeBusy})
}

// dropBacklog drops all waiting messages.
func (c *Client) dropBacklog() {
	e := c.held()
	c.realm().backlogs.Add(e.payer, -e.size)
	e.backlog, e.size = nil, 0
}
