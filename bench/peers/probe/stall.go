package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perchws/perch/bench/peers/wire"
)

const (
	stallSize  = 16 << 10
	stallCount = 4096 // 64 MiB: more than a kernel keeps, and than the servers are set to keep
	stallLimit = 12 * time.Second
	// held is how long a message may take to count as not held up, on a busy machine.
	held = time.Second
)

// stalled has one member of /fan stop reading while another publishes and a third
// reads. It says what that does to the third, and what the first gets when it
// reads again.
func stalled(addr string) (others, itself string) {
	lazy, err := openSmall(addr)
	if err != nil {
		return err.Error(), ""
	}
	defer lazy.Close()
	reader, err := wire.Open(addr, "/fan")
	if err != nil {
		return err.Error(), ""
	}
	defer reader.Close()
	publisher, err := wire.Open(addr, "/fan")
	if err != nil {
		return err.Error(), ""
	}
	defer publisher.Close()
	for _, c := range []*wire.Client{lazy, reader, publisher} {
		if err := joined(c); err != nil {
			return err.Error(), ""
		}
	}
	go func() { _, _ = io.Copy(io.Discard, publisher.Conn) }() // it is a member too

	var longest time.Duration
	sent := 0
	for ; sent < stallCount; sent++ {
		begin := time.Now()
		_ = publisher.SetWriteDeadline(begin.Add(stallLimit))
		_ = reader.SetReadDeadline(begin.Add(stallLimit))
		_, err := publisher.Write(wire.Frame(wire.Fin|wire.Text, numbered(sent)))
		for f := (wire.Received{Payload: here}); err == nil && f.Payload == here; {
			f, err = reader.Read()
		}
		if err != nil {
			sent++
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Sprintf("nothing for %.0f s", stallLimit.Seconds()), caughtUp(lazy, sent)
			}
			return "closed too: " + err.Error(), caughtUp(lazy, sent)
		}
		longest = max(longest, time.Since(begin))
	}
	others = "ok"
	if longest > held {
		others = fmt.Sprintf("held up %.0f s", longest.Seconds())
	}
	return others, caughtUp(lazy, sent)
}

// here is what a member says to find out whether it is one: the room may get to
// know of it after the answer to its request.
const here = "here"

func joined(c *wire.Client) error {
	_ = c.SetDeadline(time.Now().Add(wire.Patience))
	if _, err := c.Write(wire.Frame(wire.Fin|wire.Text, here)); err != nil {
		return err
	}
	if f, err := c.Read(); err != nil || f.Payload != here {
		return fmt.Errorf("not a member: %v %w", f, err)
	}
	return c.SetDeadline(time.Time{})
}

func numbered(i int) string {
	s := strconv.Itoa(i) + " "
	return s + strings.Repeat("x", stallSize-len(s))
}

// openSmall is a member with a small receive buffer.
func openSmall(addr string) (*wire.Client, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(failed, err)
	}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return wire.Upgrade(conn, "/fan")
}

// caughtUp reads what there is, of n messages.
func caughtUp(c *wire.Client, n int) string {
	next, lost := 0, 0
	for next < n {
		_ = c.SetReadDeadline(time.Now().Add(wire.Patience))
		f, err := c.Read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Sprintf("%d of %d lost in silence", lost+n-next, n)
		case err != nil && lost > 0, err == nil && f.First&0x0f == wire.Close && lost > 0:
			return fmt.Sprintf("%d lost, then closed", lost)
		case err != nil:
			return "closed, no close frame"
		case f.First&0x0f == wire.Close:
			return f.String()
		}
		if f.Payload == here {
			continue
		}
		number, _, _ := strings.Cut(f.Payload, " ")
		i, err := strconv.Atoi(number)
		if err != nil || i < next {
			return "garbled or out of order"
		}
		lost += i - next
		next = i + 1
	}
	if lost > 0 {
		return fmt.Sprintf("%d of %d lost in silence", lost, n)
	}
	return fmt.Sprintf("all of %d MiB", n*stallSize>>20)
}
