package abuse

import (
	"context"
	"fmt"
	"time"
)

// resets is B11: connections that are reset as soon as they are there use up the rate of new ones.
func resets() Scenario {
	const clients = 32
	return Scenario{
		Name: "B11", What: "one address opens and resets connections as fast as it can",
		Time: 15 * time.Second, Short: 4 * time.Second,
		Holds: 16 * mib, Keeps: 8 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, clients, func(ctx context.Context, i int) error {
				for ctx.Err() == nil {
					s, err := dial(a.from(0, 1), a.Addr)
					if err != nil {
						return err
					}
					s.tcp.SetLinger(0)
					s.Close()
					a.count("resets", 1)
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			return s.meanwhile(func() error {
				c, err := open(s.victim(0), s.server.Addr, "/ws", "")
				pause(s.ctx, 100*time.Millisecond)
				if err != nil {
					return fmt.Errorf("an honest newcomer: %w", err)
				}
				return c.Close()
			}), nil
		},
	}
}
