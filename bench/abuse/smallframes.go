package abuse

import (
	"context"
	"time"

	"github.com/perchws/perch/frame"
)

// smallFrames is the second half of B10: work that hardly takes bytes.
func smallFrames() Scenario {
	const conns, batch = 32, 200
	return Scenario{
		Name: "B10b", What: "32 connections send pings, empty texts and frames of one byte as fast as they are taken",
		Time: 20 * time.Second, Short: 4 * time.Second,
		Holds: 32 * mib, Keeps: 8 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			var kinds [3][]byte
			kinds[2] = frame.AppendHeader(nil, frame.Header{Opcode: frame.OpText, Masked: true})
			for range batch {
				kinds[0] = frame.AppendMaskedFrame(kinds[0], frame.OpPing, nil, 1)
				kinds[1] = text(kinds[1], "")
				kinds[2] = frame.AppendHeader(kinds[2], frame.Header{Opcode: frame.OpContinuation, Masked: true, Length: 1})
				kinds[2] = append(kinds[2], 'x')
			}
			kinds[2] = frame.AppendMaskedFrame(kinds[2], frame.OpContinuation, nil, 1)
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 1), a.Addr, "general", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				go func() {
					for s.write(kinds[i%len(kinds)]) == nil {
						a.count("frames", batch)
					}
				}()
				return s.drain()
			})
		},
	}
}
