package abuse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perchws/perch/frame"
)

// everything is B1: clients of ten addresses that take all that one connection may have, and break no limit.
func everything() Scenario {
	const conns, addresses, rooms = 950, 10, 19
	return Scenario{
		Name: "B1", What: "950 anonymous clients of ten addresses take all that the defaults allow",
		Proxied: true,
		Time:    30 * time.Second, Short: 5 * time.Second,
		Holds: (256 + 256 + 128) * mib, // output, history, input
		Keeps: 256 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			post := fmt.Sprintf(`{"type":"chat_message","content":%q}`, strings.Repeat("x", 10000))
			part := append(frame.AppendHeader(nil, frame.Header{Fin: true, Opcode: frame.OpText, Masked: true, Length: 60000}), make([]byte, 59000)...)
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, addresses), a.Addr, fmt.Sprintf("crowd %d", i%rooms), "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				a.count("opened", 1)
				if i%5 == 0 { // reads nothing, and its next message never ends
					s.tcp.SetReadBuffer(4 << 10)
					s.write(part)
					return s.ended(ctx)
				}
				if i%5 < 4 {
					s.tcp.SetReadBuffer(4 << 10)
				} else {
					go s.drain()
				}
				for ctx.Err() == nil {
					if err := s.send(post); err != nil {
						return err
					}
					pause(ctx, time.Second)
				}
				return nil
			})
		},
	}
}
