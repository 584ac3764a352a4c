package conformance

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/puff"
	"github.com/perchws/perch/internal/wstest"
)

// TestSuiteFails runs the table against a server that enforces no rule at all.
// The cases that want a connection failed must fail, all of them; those that send
// nothing wrong must pass, all of them.
func TestSuiteFails(t *testing.T) {
	g := openGolden(t, "testdata/server.golden")
	ln := wstest.Listen(t)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serveLax(nc)
		}
	}()

	// Several at a time: each -mid case waits until its timeout for a close frame.
	var (
		wg   sync.WaitGroup
		slot = make(chan struct{}, 16)
	)
	for _, c := range playedBy(asClient, table()) {
		if large(c) || c.id == "x4.2.4" { // that one is about TCP: whether RST comes is the kernel's choice
			continue
		}
		if c.engine() != (perch.Compression{}) {
			continue // it has one configuration
		}
		shouldFail := c.breach || refusal(g.want[c.id], c)
		wg.Add(1)
		slot <- struct{}{}
		go func() {
			defer func() { <-slot; wg.Done() }()
			if said := onLax(t, c, ln.Addr().String(), shouldFail); shouldFail != (said != "") {
				t.Errorf("%s %s: the verdict on a lax server is %q", c.id, c.desc, said)
			}
		}()
	}
	wg.Wait()
}

// refusal reports that a case ends with an error code of the engine's own choice:
// one that it did not just send back.
func refusal(line string, c testCase) bool {
	echoedCode := strings.HasPrefix(c.id, "7.7.") || strings.HasPrefix(c.id, "x4.1.") && !strings.Contains(line, "close 1002")
	return !echoedCode && slices.ContainsFunc([]string{"close 1002;", "close 1007;", "close 1009;"},
		func(s string) bool { return strings.Contains(line, s) })
}

// verdict is a testing.TB that keeps what is said to it and fails nobody.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Fatalf(format string, args ...any) {
	v.said = format
	runtime.Goexit()
}

func onLax(t *testing.T, c testCase, addr string, impatient bool) string {
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := dialed(v, c, addr)
		defer p.c.Close()
		if impatient {
			p.c.Timeout = 100 * time.Millisecond
		}
		c.script(p)
	}()
	<-done
	return v.said
}

// serveLax echoes whatever comes. It unmasks, reassembles, inflates, answers pings
// and sends close frames back as they are, and refuses nothing. It agrees to the
// first offer of compression, and then compresses as if nothing was agreed.
func serveLax(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	var answer []string
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
		if offer, ok := strings.CutPrefix(line, extensions+": "); ok {
			offer, _, _ = strings.Cut(strings.TrimSpace(offer), ",")
			answer = []string{extensions + ": " + strings.Replace(offer, "; client_max_window_bits", "", 1)}
		}
	}
	nc.Write(wstest.Switching(wstest.Key, answer...))

	z := &codec{out: flow{takeover: true, window: 15}, in: flow{takeover: true, window: 15}}
	op, rsv, message := frame.OpText, byte(0), []byte(nil)
	for {
		f, err := readLax(r)
		if err != nil {
			return
		}
		switch {
		case f.Op == frame.OpClose:
			nc.Write(f.Append(nil, false))
			return
		case f.Op == frame.OpPing:
			nc.Write(wstest.Pong(string(f.Payload)).Append(nil, false))
			continue
		case f.Op == frame.OpPong:
			continue
		case f.Op.IsData():
			op, rsv = f.Op, f.Rsv
		}
		if message = append(message, f.Payload...); f.More {
			continue
		}
		if rsv == rsv1 && answer != nil {
			m, _ := puff.Inflate(message, z.in.reachable())
			z.in.push(m.Payload)
			message = m.Payload
		}
		echo := wstest.Frame{Op: op, Payload: message}
		if answer != nil && len(message) >= threshold {
			if b := z.compress(message); len(b) < len(message) {
				echo.Payload, echo.Rsv = b, rsv1
			} else {
				z.w = nil // what is not sent the tester must not be referred to
			}
		}
		nc.Write(echo.Append(nil, false))
		message = nil
	}
}

func readLax(r *bufio.Reader) (f wstest.Frame, err error) {
	head := make([]byte, 8)
	read := func(n int) []byte {
		clear(head)
		if err == nil {
			_, err = io.ReadFull(r, head[8-n:])
		}
		return head[8-n:]
	}
	b := read(2)
	f.Op, f.More, f.Rsv = frame.Opcode(b[0]&0x0f), b[0]&0x80 == 0, b[0]>>4&7
	masked, length := b[1]&0x80 != 0, uint64(b[1]&0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(read(2)))
	case 127:
		length = binary.BigEndian.Uint64(read(8))
	}
	var key [4]byte
	if masked {
		copy(key[:], read(4))
	}
	if err != nil {
		return f, err
	}
	if length > mib { // announced only: it never comes
		_, err = io.Copy(io.Discard, r)
		return f, err
	}
	f.Payload = make([]byte, length)
	_, err = io.ReadFull(r, f.Payload)
	for i := range f.Payload {
		f.Payload[i] ^= key[i%4]
	}
	return f, err
}
