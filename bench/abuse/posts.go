package abuse

import (
	"context"
	"fmt"
	"time"
)

// posts is A2: messages of one byte, without a limit on their rate, into rooms that are full. Each answer to one is
// owed to its sender.
func posts() Scenario {
	const rooms, listeners, posters, batch = 4, 100, 16, 500
	return Scenario{
		Name: "A2", What: "16 clients post 1-byte messages into rooms of 100, without rates",
		Flags: []string{"--messages-per-second", "0", "--bytes-per-second", "0"},
		Time:  40 * time.Second, Short: 4 * time.Second,
		Holds: 256*mib + 4*mib, // output of all, and the history of four rooms
		Keeps: 16 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			var many []byte
			for range batch {
				many = text(many, `{"type":"chat_message","content":"x"}`)
			}
			return a.crowd(ctx, rooms*listeners+posters, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 4), a.Addr, fmt.Sprintf("full %d", i%rooms), "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				if i < rooms*listeners {
					return s.drain()
				}
				go func() {
					for s.write(many) == nil {
						a.count("posted", batch)
					}
				}()
				return s.drain()
			})
		},
	}
}
