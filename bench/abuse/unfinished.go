package abuse

import (
	"context"
	"fmt"
	"time"

	"github.com/perchws/perch/frame"
)

// unfinished is B3: messages of which the last byte never comes.
func unfinished() Scenario {
	const size = 64 << 10
	conns := func(short bool) int {
		if short {
			return 600
		}
		return 6000
	}
	return Scenario{
		Name: "B3", What: "messages of 64 KiB without their last byte, on 6,000 connections of three addresses",
		Time: 40 * time.Second, Short: 4 * time.Second,
		Holds: 128 * mib, Keeps: 8 * mib, // max-input-total
		Small: func(s *Scenario) {
			s.What = "messages of 64 KiB without their last byte, on 600 connections of three addresses, of 16 MiB in all"
			s.Flags, s.Holds = []string{"--max-input-total", "16MiB"}, 16*mib
		},
		Attack: func(ctx context.Context, a *Attacker) error {
			head := frame.AppendHeader(nil, frame.Header{Fin: true, Opcode: frame.OpBinary, Masked: true, Length: size})
			most := append(head, make([]byte, size-1)...)
			return a.crowd(ctx, conns(a.Short), func(ctx context.Context, i int) error {
				s, err := a.open(a.from(i, 3), "/ws?raw=1", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				if err := s.write(most); err != nil {
					return err
				}
				return s.drain()
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			c, err := open(s.victim(0), s.server.Addr, "/ws?raw=1", "")
			if err != nil {
				return nil, err
			}
			message := frame.AppendMaskedFrame(nil, frame.OpBinary, make([]byte, size/2), 7)
			return s.meanwhile(func() error {
				if err := halves(c, message); err != nil {
					return fmt.Errorf("a victim that sends a message in two halves: %w", err)
				}
				return nil
			}, c), nil
		},
	}
}

// halves sends a message in two halves, a second apart, and awaits its echo.
func halves(c *socket, message []byte) error {
	err := c.write(message[:len(message)/2])
	time.Sleep(time.Second)
	if err == nil {
		err = c.write(message[len(message)/2:])
	}
	if err == nil {
		c.SetReadDeadline(time.Now().Add(ioTime))
		_, err = c.next()
	}
	return err
}
