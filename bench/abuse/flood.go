package abuse

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// flood is B9: one address says as much in general as its connections may. Readers who keep up with 4 MB/s must not
// be closed as slow.
func flood() Scenario {
	const conns, size, perSecond, readers, readRate = 20, 10000, 95, 5, 4e6
	return Scenario{
		Name: "B9", What: "20 connections of one address post 10 kB into general, 95 times a second each",
		Time: 20 * time.Second, Short: 5 * time.Second,
		Room:  "general",
		Holds: 64 * mib, Keeps: 16 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			post := fmt.Sprintf(`{"type":"chat_message","content":%q}`, strings.Repeat("x", size))
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 1), a.Addr, "general", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				go s.drain()
				for ctx.Err() == nil {
					if err := s.send(post); err != nil {
						return err
					}
					a.count("posted", 1)
					pause(ctx, time.Second/perSecond)
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			var checks []func() []string
			for i := range readers {
				c, err := s.member(i, "", "general")
				if err != nil {
					return nil, err
				}
				checks = append(checks, s.meanwhile(func() error {
					begun := time.Now()
					c.SetReadDeadline(begun.Add(ioTime))
					p, err := c.next()
					if err != nil {
						pause(s.ctx, time.Second)
						return fmt.Errorf("a reader of 4 MB/s: %w", err)
					}
					pause(s.ctx, time.Duration(float64(len(p))/readRate*float64(time.Second))-time.Since(begun))
					return nil
				}, c))
			}
			return func() (lost []string) {
				for _, check := range checks {
					lost = append(lost, check()...)
				}
				return lost
			}, nil
		},
	}
}
