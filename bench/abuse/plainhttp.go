package abuse

import (
	"bytes"
	"context"
	"time"
)

// plainHTTP is A3: sockets that ask for pages over and over, and read nothing of the answers.
func plainHTTP() Scenario {
	const sockets, requests = 1150, 1400
	return Scenario{
		Name: "A3", What: "1,150 sockets pipeline 1,400 GETs each and do not read",
		Time: 20 * time.Second, Short: 5 * time.Second,
		Holds: 1024 * 64 << 10, // max-http-connections, each with the buffers of net/http and a goroutine
		Keeps: 8 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, sockets, func(ctx context.Context, i int) error {
				from := a.from(i, 4)
				s, err := dial(from, a.Addr)
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				s.tcp.SetReadBuffer(4 << 10) // what waits is the server's
				asked := bytes.Repeat([]byte(from.request("/chat", a.Addr)+"\r\n"), requests)
				for len(asked) > 0 {
					n := min(len(asked), 16<<10)
					if _, err := s.Write(asked[:n]); err != nil {
						return err
					}
					asked = asked[n:]
				}
				a.count("asked all", 1)
				return s.ended(ctx)
			})
		},
	}
}
