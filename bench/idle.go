package bench

import (
	"context"

	"github.com/perchws/perch"
)

// Idle holds connections that say nothing but pong. Warmup is the time until
// the server's memory is taken.
type Idle struct {
	Target
	Greeting
}

// Run connects, waits and closes; see Echo.Run.
func (o Idle) Run(ctx context.Context) (*Result, error) {
	r, err := newRun(&o.Target, o.Conns, 0, func(m *member) client { return &idleClient{member: m, greeting: &o.Greeting} })
	if err != nil {
		return nil, err
	}
	empty, err := sample(o.PID)
	if err != nil {
		r.stop()
		return nil, err
	}
	opened := r.connect(ctx)
	if opened == 0 {
		r.stop()
		return r.result("idle", 0, interval{}), nil
	}
	r.settle(ctx, &o.Greeting, opened, 0)
	span, err := r.measure(ctx, "idle", func() {})
	r.close()
	if err != nil {
		return nil, err
	}
	res := r.result("idle", opened, span)
	if s := res.Server; s != nil && opened > 0 {
		s.RSSBefore = empty.server.RSS
		s.PerConn = float64(s.RSS-s.RSSBefore) / float64(opened)
		if res.Pinged > 0 {
			s.PerPing = s.CPU * res.Seconds * 1e6 / float64(res.Pinged)
		}
	}
	return res, nil
}

type idleClient struct {
	*member
	greeting *Greeting
	acked    bool
}

func (c *idleClient) open(conn perch.Conn) { c.greeting.hello(c.member, conn) }

func (c *idleClient) message(_ perch.Conn, _ perch.Opcode, p []byte) {
	c.greeting.heard(c.member, p, &c.acked)
}
