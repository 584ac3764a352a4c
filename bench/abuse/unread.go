package abuse

import (
	"context"
	"time"

	"github.com/perchws/perch/frame"
)

// unread is B2 and B4: what clients do not read waits in the server, and in the kernel.
func unread() Scenario {
	const conns, size = 600, 16 << 10
	return Scenario{
		Name: "B2", What: "600 connections send 16 KiB over and over to the echo, and read nothing",
		Time: 20 * time.Second, Short: 4 * time.Second,
		Holds: 256 * mib, Keeps: 8 * mib, // max-output-total
		Kernel: conns * 384 << 10, // send-buffer, and twice receive-buffer
		Attack: func(ctx context.Context, a *Attacker) error {
			message := frame.AppendMaskedFrame(nil, frame.OpBinary, make([]byte, size), 7)
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				s, err := a.open(a.from(i, 3), "/ws?raw=1", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				s.tcp.SetReadBuffer(4 << 10)
				s.tcp.SetWriteBuffer(16 << 10)
				for ctx.Err() == nil && err == nil {
					_, err = s.Write(message)
				}
				return err
			})
		},
	}
}
