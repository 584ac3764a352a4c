//go:build linux

package rooms_test

import (
	"sync"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/wstest"
)

// actor is a person of the model with the latest connection.
type actor struct {
	*roommodel.Actor
	visitor *visitor
}

// visitor is one connection of the model test, read by a goroutine.
type visitor struct {
	*wstest.Conn
	model *model
	over  chan struct{} // closed when nothing more is read

	mu      sync.Mutex
	view    *roommodel.View
	gate    *sync.Cond // stopped may have changed
	stopped bool       // it does not read
	ending  bool       // by its own doing: whatever comes
}

// ask sends the request that the view makes, if it makes one.
func (c *visitor) ask(request func(v *roommodel.View) string) {
	c.mu.Lock()
	line := request(c.view)
	c.mu.Unlock()
	if line != "" {
		c.TrySend(wstest.Text(line)) // that the connection is gone is seen by read
	}
}

// waiting is the number of requests that are not answered yet.
func (c *visitor) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view.Waiting()
}

// read reads until the end.
func (c *visitor) read() {
	defer close(c.over)
	defer c.Conn.Close()
	for {
		c.mu.Lock()
		for c.stopped {
			c.gate.Wait()
		}
		c.mu.Unlock()
		f, err := c.Next()
		c.mu.Lock()
		code, _ := f.CloseInfo()
		switch {
		case err == nil && f.Op == perch.Text:
			c.view.Take(string(f.Payload))
			c.mu.Unlock()
			continue
		case c.ending || c.model.ending.Load():
		case err == nil && f.Op == frame.OpClose && code == perch.CloseSlowConsumer && c.model.Slow:
			c.model.tooSlow.Add(1)
		default:
			c.view.Fault("the end is %v, %v", f, err)
		}
		c.view.End()
		c.ending = true
		c.mu.Unlock()
		return
	}
}
