package endpoint

import (
	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// await begins the wait for the first message, which must come within Config.FirstFrame.
func (c *Client) await(conn perch.Conn) {
	r := c.realm()
	c.phase = greeting
	if r.cfg.FirstFrame > 0 {
		c.rarely().first = r.deadlines.in(conn.Ref(), r.cfg.FirstFrame)
	}
}

// greet handles a message that may be the first.
func (c *Client) greet(conn perch.Conn, m protocol.Message) error {
	if ok, err := c.identify(conn, m); !ok {
		return err
	}
	c.arm(conn)
	if err := c.at.First(conn, c, m); err != nil {
		return err
	}
	if c.suspended() {
		c.held().greets = true
		return nil
	}
	c.greeted(conn, true)
	c.tidyEarly()
	return nil
}

// greeted is called when the first message has been handled: if ok is false, another one may come.
func (c *Client) greeted(conn perch.Conn, ok bool) {
	switch {
	case ok:
		c.phase = active
		if c.rare != nil {
			c.rare.first.cancel()
			c.rare.first = nil
			c.tidy()
		}
	case c.rare != nil && c.rare.first.over(): // the time ended while the message was handled
		c.noFirst(conn)
	}
}

// noFirst closes a client that has not sent a first message, or no good one.
func (c *Client) noFirst(conn perch.Conn) {
	c.realm().cfg.Meter.Error(c.at.Name, kindTimeout)
	c.Close(conn, CloseNoFirstFrame, reasonFirstFrame)
}
