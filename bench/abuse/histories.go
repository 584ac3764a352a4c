package abuse

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// histories is A5: strangers make rooms and fill them, until there is no memory left for what was said in general.
func histories() Scenario {
	const rooms, size, perSecond, said = 10, 16000, 60, 150
	conns := func(short bool) int {
		if short {
			return 96
		}
		return 32
	}
	return Scenario{
		Name: "A5", What: "anonymous clients of one address fill ten rooms each with 1 MiB",
		Time: 30 * time.Second, Short: 9 * time.Second,
		Holds: 256 * mib, Keeps: 256 * mib, // room-history-total
		Attack: func(ctx context.Context, a *Attacker) error {
			post := fmt.Sprintf(`{"type":"chat_message","content":%q}`, strings.Repeat("x", size))
			return a.crowd(ctx, conns(a.Short), func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 1), a.Addr, fmt.Sprintf("heap %d", i), "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				go s.drain()
				for n := 1; ctx.Err() == nil; n++ {
					if err := s.send(post); err != nil {
						return err
					}
					a.count("posted", 1)
					if n%66 == 0 { // a MiB
						next := fmt.Sprintf(`{"type":"join_room","room_id":"heap %d.%d"}`, i, n/66%rooms)
						if err := s.send(next); err != nil {
							return err
						}
					}
					pause(ctx, time.Second/perSecond)
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			c, err := s.member(0, "", "general")
			if err != nil {
				return nil, err
			}
			for i := range said {
				if _, err := post(c, fmt.Sprintf("message %d of general", i), fmt.Sprint(i)); err != nil {
					return nil, err
				}
			}
			c.Close()
			return func() []string {
				n := 0
				c, err := s.member(0, "", "general")
				if err == nil {
					n, err = history(c, said)
					c.Close()
				}
				if err != nil || n < said {
					return []string{fmt.Sprintf("general has %d of its %d messages %v", n, said, err)}
				}
				return nil
			}, nil
		},
	}
}
