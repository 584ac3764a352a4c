//go:build linux

package limits_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// With OnGap messages over the limit are dropped and counted, and the peer can
// be told.
func TestGap(t *testing.T) {
	const all = 2000
	refused := make(chan int, 1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 64 << 10}, perch.Handler{
		OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			n := 0
			for i := range all {
				if err := c.Send(perch.Binary, enginetest.Numbered(i, enginetest.FillSize)); errors.Is(err, perch.ErrSlowConsumer) {
					n++
				} else if err != nil {
					t.Errorf("send %d: %v", i, err)
				}
			}
			refused <- n
		},
		OnGap: func(c perch.Conn, dropped int) { c.SendText("gap " + strconv.Itoa(dropped)) },
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	n := wstest.Receive(t, "the sends", refused)
	if n == 0 {
		t.Fatalf("%d messages fit: nothing was dropped", all)
	}
	enginetest.ExpectNumbered(c, t, 0, all-n) // those before the gap, in order
	c.ExpectText("gap " + strconv.Itoa(n))
	if s := srv.Stats(); s.MessagesDropped != uint64(n) || s.SlowConsumers != 0 {
		t.Errorf("%d dropped, %d slow, want %d, 0", s.MessagesDropped, s.SlowConsumers, n)
	}
	c.CloseHandshake(perch.CloseNormal)
}

// When the output of all nears its bound the largest queues go first.
func TestOutputTotal(t *testing.T) {
	ended, sent := make(enginetest.Closes, 4), make(chan int, 1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 8 << 20, MaxOutputTotal: 3 << 19, CloseTimeout: 10 * time.Second}, perch.Handler{
		OnOpen: func(c perch.Conn, r *perch.Request) { c.SetValue(r.Query("size")) },
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
			want, _ := strconv.Atoi(string(p))
			sent <- enginetest.Fill(c, enginetest.FillSize, want)
		},
		OnClose: ended.Note,
	})
	var clients []*wstest.Conn
	var counts []int
	for _, size := range []int{128 << 10, 1 << 20, 256 << 10} {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text(strconv.Itoa(size)))
		counts = append(counts, wstest.Receive(t, "fill", sent))
		clients = append(clients, c)
	}
	enginetest.AwaitStats(t, srv, "one is given up", func(s *perch.Stats) bool { return s.SlowConsumers == 1 && s.QueuedBytes < 1<<20 })
	for _, i := range []int{0, 2} {
		enginetest.ExpectNumbered(clients[i], t, 0, counts[i])
		clients[i].CloseHandshake(perch.CloseNormal)
	}
	for {
		f, err := clients[1].Next()
		if err != nil {
			t.Fatalf("the largest: %v, want close 3000", err)
		}
		if code, _ := f.CloseInfo(); f.Op == frame.OpClose {
			if code != perch.CloseSlowConsumer {
				t.Errorf("the largest: %v, want close 3000", f)
			}
			break
		}
	}
	clients[1].ExpectEOF()
	clients[1].Close()
	overloaded := 0
	for range clients {
		if err := wstest.Receive(t, "OnClose", ended); errors.Is(err, perch.ErrOverloaded) {
			overloaded++
		}
	}
	if s := srv.Stats(); overloaded != 1 || s.SlowConsumers != 1 {
		t.Errorf("%d overloaded, %d slow, want 1, 1", overloaded, s.SlowConsumers)
	}
}

// Control frames wait for at most the frame that is being sent.
func TestControlLane(t *testing.T) {
	const waiting = 512 << 10
	sent := make(chan int, 1)
	cfg := perch.Config{Loops: 1, MaxOutput: 4 << 20}
	h := perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { sent <- enginetest.Fill(c, enginetest.FillSize, waiting) }}
	overtakes := func(t *testing.T, c *wstest.Conn, n int, op frame.Opcode) wstest.Frame {
		t.Helper()
		for got := 0; ; got++ {
			f, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if f.Op == op {
				if (n-got)*enginetest.FillSize < waiting-2*enginetest.FillSize {
					t.Errorf("%v behind %d of %d messages", f, got, n)
				}
				enginetest.ExpectNumbered(c, t, got, n)
				return f
			}
			if !bytes.Equal(f.Payload, enginetest.Numbered(got, enginetest.FillSize)) {
				t.Fatalf("message %d is not what was sent", got)
			}
		}
	}
	t.Run("pong", func(t *testing.T) {
		srv := enginetest.StartRoute(t, cfg, h)
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("go"))
		n := wstest.Receive(t, "fill", sent)
		for i := range 5 {
			c.Send(wstest.Ping(strconv.Itoa(i)))
		}
		enginetest.AwaitStats(t, srv, "all pings are read", func(s *perch.Stats) bool { return s.PingsReceived == 5 })
		if f := overtakes(t, c, n, frame.OpPong); string(f.Payload) != "4" {
			t.Errorf("%v, want the newest", f)
		}
		c.Send(wstest.Ping("after"))
		c.ExpectPong("after") // and no other before
	})
	t.Run("ping", func(t *testing.T) {
		cfg := cfg
		cfg.PingInterval, cfg.PingTimeout = 100*time.Millisecond, 10*time.Second
		srv := enginetest.StartRoute(t, cfg, h)
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("go"))
		n := wstest.Receive(t, "fill", sent)
		enginetest.AwaitStats(t, srv, "a ping is sent", func(s *perch.Stats) bool { return s.PingsSent == 1 })
		overtakes(t, c, n, frame.OpPing)
	})
}
