package abuse

import (
	"context"
	"time"
)

// userLists is B8: a question of 27 bytes, and an answer of 195 kB.
func userLists() Scenario {
	const members, askers, perSecond = 1000, 10, 95
	return Scenario{
		Name: "B8", What: "ten clients ask for the users of a room of 1,000, 95 times a second each",
		Time: 20 * time.Second, Short: 5 * time.Second,
		Holds: 64 * mib, Keeps: 32 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, members+askers, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 2), a.Addr, "general", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				if i < members {
					return s.drain()
				}
				go func() {
					for s.send(`{"type":"list_users"}`) == nil && ctx.Err() == nil {
						a.count("asked", 1)
						pause(ctx, time.Second/perSecond)
					}
				}()
				for {
					p, err := s.next()
					if err != nil {
						return err
					}
					a.count("bytes", int64(len(p)))
				}
			})
		},
	}
}
