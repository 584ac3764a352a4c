package abuse

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// silentHellos is B6: TLS handshakes that stop behind the first record.
func silentHellos() Scenario {
	const sockets = 1500
	return Scenario{
		Name: "B6", What: "1,500 sockets send a ClientHello and no more",
		TLS:  true,
		Time: 20 * time.Second, Short: 4 * time.Second,
		Holds: sockets * 32 << 10, // a handshake under way, its goroutine, its records
		Keeps: 16 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			hello, err := clientHello()
			if err != nil {
				return err
			}
			return a.crowd(ctx, sockets, func(ctx context.Context, i int) error {
				s, err := dial(a.from(i, 3), a.Addr)
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				if err := s.write(hello); err != nil {
					return err
				}
				a.count("hellos", 1)
				_, err = io.Copy(io.Discard, s)
				return err
			})
		},
	}
}

// hello takes what a TLS client says first.
type hello struct {
	net.Conn
	said bytes.Buffer
}

var errSaid = errors.New("it has said hello")

func (h *hello) Write(p []byte) (int, error) {
	h.said.Write(p)
	return 0, errSaid
}

// clientHello is the first record of a handshake.
func clientHello() ([]byte, error) {
	var h hello
	if err := tls.Client(&h, &tls.Config{InsecureSkipVerify: true}).Handshake(); !errors.Is(err, errSaid) {
		return nil, err
	}
	return h.said.Bytes(), nil
}
