//go:build linux

package limits_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// inputTotal is Config.MaxInputTotal of the tests of it.
const inputTotal = 1 << 20

// dialFrom opens a connection from another address of this machine.
func dialFrom(t *testing.T, srv *perch.Server, local string) *wstest.Conn {
	t.Helper()
	c := wstest.ConnectFrom(t, local, srv.Addr().String())
	c.Write(wstest.Request(srv.Addr().String(), "/ws"))
	c.ExpectUpgraded()
	return c
}

// begun is the start of a message: all but its last byte.
func begun(c *wstest.Conn, size int) (rest []byte) {
	b := c.Encode(wstest.Binary(make([]byte, size)))
	c.Write(b[:len(b)-1])
	return b[len(b)-1:]
}

// TestInputTotal: messages that are not whole are bounded for all connections together. An address that fills the bound
// loses its own connections, the largest first, and the messages of others come whole.
func TestInputTotal(t *testing.T) {
	for _, attack := range []struct {
		name string
		size int
		pre  []wstest.Frame
	}{
		{"one frame", 60_000, nil},
		{"fragments", 40_000, []wstest.Frame{{Op: frame.OpBinary, Payload: make([]byte, 20_000), More: true}}},
		{"a large window", 1000, []wstest.Frame{wstest.Binary(make([]byte, 60_000)), wstest.Binary(make([]byte, 60_000))}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			ended := make(enginetest.Closes, 200)
			h := enginetest.Echo()
			h.OnClose = ended.Note
			srv := enginetest.StartRoute(t, perch.Config{MaxInputTotal: inputTotal, Rate: enginetest.Unlimited}, h)
			var others []*wstest.Conn
			var rests [][]byte
			for i := range 8 {
				c := dialFrom(t, srv, fmt.Sprint("127.0.0.", 10+i))
				others, rests = append(others, c), append(rests, begun(c, 10_000))
			}
			wstest.Eventually(t, "they have begun", func() bool { return srv.Stats().InputBytes >= 8*10_000 })
			var greedy []*wstest.Conn
			for range 60 {
				c := dialFrom(t, srv, "127.0.0.2")
				for _, f := range attack.pre {
					c.Send(f)
					if !f.More {
						c.ExpectMessage(f.Op, f.Payload)
					}
				}
				if f := attack.size; len(attack.pre) > 0 && attack.pre[0].More {
					b := c.Encode(wstest.Frame{Op: frame.OpContinuation, Payload: make([]byte, f)})
					c.Write(b[:len(b)-1])
				} else {
					begun(c, f)
				}
				greedy = append(greedy, c)
				if n := srv.Stats().InputBytes; n > inputTotal+2*64<<10+64<<10 {
					t.Fatalf("%d bytes are kept of %d", n, inputTotal)
				}
			}
			if attack.size > 10_000 {
				enginetest.AwaitStats(t, srv, "some are ended", func(s *perch.Stats) bool { return s.InputRelieved > 20 })
				if reason := greedy[0].ExpectFail(perch.ClosePolicyViolation); reason != "too much unfinished input from your address" {
					t.Errorf("reason %q", reason)
				}
				if err := wstest.Receive(t, "the first end", ended).Err; !errors.Is(err, perch.ErrInputFull) {
					t.Errorf("it ended with %v", err)
				}
			} else if s := srv.Stats(); s.InputRelieved != 0 {
				t.Errorf("%d were ended, with %d bytes kept", s.InputRelieved, s.InputBytes)
			}
			for i, c := range others {
				c.Write(rests[i])
				c.ExpectMessage(frame.OpBinary, make([]byte, 10_000))
			}
			for _, c := range greedy {
				c.Reset()
			}
			enginetest.AwaitStats(t, srv, "nothing is kept", func(s *perch.Stats) bool { return s.InputBytes == 0 })
		})
	}
}

// TestInputTotalShort: where nobody keeps more than all others together, it is no fault of the client's: it may come
// back.
func TestInputTotalShort(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxInputTotal: inputTotal, Loops: 1}, enginetest.Echo())
	var all []*wstest.Conn
	for i := range 20 {
		c := dialFrom(t, srv, fmt.Sprint("127.0.0.", 10+i))
		begun(c, 60_000)
		all = append(all, c)
	}
	enginetest.AwaitStats(t, srv, "some are ended", func(s *perch.Stats) bool { return s.InputRelieved > 0 })
	ended := 0
	for _, c := range all {
		c.Write([]byte{0})
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := f.CloseInfo(); f.Op == frame.OpClose {
			if ended++; code != perch.CloseTryAgainLater {
				t.Errorf("close %v", code)
			}
		}
	}
	if n := int(srv.Stats().InputRelieved); ended != n || n > 10 {
		t.Errorf("%d are ended, %d counted", ended, n)
	}
}

// TestHeadsTotal: heads of requests are input too.
func TestHeadsTotal(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxInputTotal: inputTotal, MaxHead: 60 << 10}, enginetest.Echo())
	other := dialFrom(t, srv, "127.0.0.3")
	rest := begun(other, 10_000)
	head := "GET /ws HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 50_000)
	var greedy []*wstest.Conn
	for range 60 {
		c := wstest.ConnectFrom(t, "127.0.0.2", srv.Addr().String())
		c.Write([]byte(head))
		greedy = append(greedy, c)
	}
	enginetest.AwaitStats(t, srv, "some are refused", func(s *perch.Stats) bool {
		return s.InputRelieved > 20 && s.Refusals[perch.RefusedLimit] == s.InputRelieved
	})
	if r := greedy[0].ReadResponse(); r.Status != 503 || r.Header("Retry-After") == "" {
		t.Errorf("%s", r.Head)
	}
	other.Write(rest)
	other.ExpectMessage(frame.OpBinary, make([]byte, 10_000))
}

// TestWorkTotal: messages that wait for a worker are input too.
func TestWorkTotal(t *testing.T) {
	block := make(chan struct{})
	srv := enginetest.Start(t, perch.Config{MaxInputTotal: inputTotal, Workers: 2, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		srv.HandleBlocking("/work", perch.BlockingHandler{OnMessage: func(perch.Ref, perch.Opcode, []byte) { <-block }})
	})
	defer close(block)
	other := dialFrom(t, srv, "127.0.0.3")
	rest := begun(other, 10_000)
	for range 200 { // more than the pool's queue takes
		c := wstest.ConnectFrom(t, "127.0.0.2", srv.Addr().String())
		c.Write(wstest.Request(srv.Addr().String(), "/work"))
		c.ExpectUpgraded()
		for range 4 {
			c.Send(wstest.Binary(make([]byte, 16_000)))
		}
	}
	s := enginetest.AwaitStats(t, srv, "some are ended", func(s *perch.Stats) bool { return s.InputRelieved > 5 })
	if most := int64(inputTotal + 2*64*65_000); s.InputBytes > most { // that of the queue cannot be given up
		t.Errorf("%d bytes are kept of %d", s.InputBytes, most)
	}
	other.Write(rest)
	other.ExpectMessage(frame.OpBinary, make([]byte, 10_000))
}
