//go:build linux

package compression_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Both sides of the threshold, and what does not shrink, by every way to send.
func TestDeflateThreshold(t *testing.T) {
	ways := map[string]func(c perch.Conn, op perch.Opcode, p []byte) error{
		"Conn.Send":         perch.Conn.Send,
		"Conn.SendPrepared": func(c perch.Conn, op perch.Opcode, p []byte) error { return c.SendPrepared(perch.Prepare(op, p)) },
		"Ref.Send":          func(c perch.Conn, op perch.Opcode, p []byte) error { return c.Ref().Send(op, p) },
		"Ref.SendPrepared":  func(c perch.Conn, op perch.Opcode, p []byte) error { return c.Ref().SendPrepared(perch.Prepare(op, p)) },
	}
	for _, threshold := range []int{0, -1, 100, 5000} {
		from := threshold
		switch threshold {
		case 0:
			from = 1024
		case -1:
			from = 1
		}
		for way, send := range ways {
			t.Run(fmt.Sprintf("%d/%s", threshold, way), func(t *testing.T) {
				srv := enginetest.StartRoute(t, perch.Config{Loops: 1, Rate: enginetest.Unlimited, Compression: perch.Compression{Threshold: threshold}}, perch.Handler{
					OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { send(c, op, p) },
				})
				c := dialDeflate(t, srv, offer, noTakeover)
				var d deflater
				for _, p := range [][]byte{
					bytes.Repeat([]byte("a"), from-1), bytes.Repeat([]byte("a"), from), bytes.Repeat([]byte("a"), from+1),
					bytes.Repeat([]byte("a"), from+150), noise(1, from+150), bytes.Repeat([]byte("b"), 60000), noise(2, 60000), nil,
				} {
					c.Send(wstest.Binary(p))
					got, err := c.Next()
					if err != nil {
						t.Fatal(err)
					}
					shrinks := len(p) >= 100 && (p[0] == 'a' && p[1] == 'a' || p[0] == 'b' && p[1] == 'b')
					if want := len(p) >= from && shrinks; want != (got.Rsv == frame.RSV1) || want && len(got.Payload) >= len(p) {
						t.Errorf("%d bytes that shrink %t: %d bytes, rsv %d", len(p), shrinks, len(got.Payload), got.Rsv)
					}
					if got.Rsv != 0 {
						got.Payload = d.inflate(t, got.Payload)
					}
					if !bytes.Equal(got.Payload, p) {
						t.Fatalf("%d bytes come back as %d", len(p), len(got.Payload))
					}
				}
				c.CloseHandshake(perch.CloseNormal)
			})
		}
	}
}

// A message to many is compressed once, whoever they are: without compression, with
// it, with windows of their own, with contexts that live on. Theirs go on from it.
func TestDeflateBroadcast(t *testing.T) {
	var broadcast func(*perch.Prepared)
	srv := enginetest.Start(t, perch.Config{Loops: 4, Compression: perch.Compression{ServerTakeover: true, ServerWindow: 15}}, func(srv *perch.Server) {
		var h perch.Handler
		h, broadcast = enginetest.Audience(srv, perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) }})
		srv.Handle("/ws", h)
	})
	type member struct {
		*wstest.Conn
		name string
		out  *deflater // nil: plain
	}
	const answer = "; client_no_context_takeover"
	var all []member
	for range 4 { // on all loops
		all = append(all, member{enginetest.Dial(t, srv), "plain", nil},
			member{dialDeflate(t, srv, offer+"; server_no_context_takeover", noTakeover), "no context", &deflater{}},
			member{dialDeflate(t, srv, offer+"; server_no_context_takeover; server_max_window_bits=10", noTakeover+"; server_max_window_bits=10"), "10 bits", &deflater{}},
			member{dialDeflate(t, srv, offer, offer+answer), "context", &deflater{takeover: true}},
			member{dialDeflate(t, srv, offer+"; server_max_window_bits=11", offer+answer+"; server_max_window_bits=11"), "context, 11 bits", &deflater{takeover: true}})
	}
	expect := func(m member, p []byte, compressed bool) []byte {
		t.Helper()
		got, err := m.Next()
		if err != nil || (got.Rsv == frame.RSV1) != compressed {
			t.Fatalf("%s: %v, %v, want it compressed %t", m.name, got, err, compressed)
		}
		wire := got.Payload
		if compressed {
			got.Payload = m.out.inflate(t, got.Payload)
		}
		if !bytes.Equal(got.Payload, p) {
			t.Fatalf("%s: %d bytes, want %d", m.name, len(got.Payload), len(p))
		}
		return wire
	}
	for _, tt := range []struct {
		p            []byte
		compressions uint64
		forms        int // different ones
	}{
		{[]byte(talk(1, 31)), 0, 0},    // under every threshold
		{[]byte(talk(1, 600)), 8, 2},   // under that of those who keep nothing; the others' contexts are alike
		{[]byte(talk(2, 1024)), 10, 4}, // not smaller than the smallest window
		{[]byte(talk(3, 1500)), 2, 2},  // larger than it
		// the larger of the small ones takes that of the smallest, or the smallest goes without
		{[]byte(talk(4, 20000)), 2, 2},
		{noise(5, 2000), 2, 0},
	} {
		before := srv.Stats().Compressions
		broadcast(perch.Prepare(perch.Binary, tt.p))
		wires := make(map[string]bool)
		for _, m := range all {
			if m.out == nil || tt.forms == 0 || len(tt.p) < 1024 && !m.out.takeover {
				expect(m, tt.p, false)
				continue
			}
			got, err := m.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got.Rsv == 0 && m.name == "10 bits" { // 11 was there first
				if !bytes.Equal(got.Payload, tt.p) {
					t.Fatalf("%s: %v", m.name, got)
				}
				continue
			}
			wires[string(got.Payload)] = true
			if got.Rsv != frame.RSV1 || !bytes.Equal(m.out.inflate(t, got.Payload), tt.p) {
				t.Fatalf("%s: %v", m.name, got)
			}
		}
		if len(wires) > tt.forms {
			t.Errorf("%d bytes: %d forms, want %d", len(tt.p), len(wires), tt.forms)
		}
		if n := srv.Stats().Compressions - before; n > tt.compressions || n == 0 && tt.compressions > 0 {
			t.Errorf("%d bytes: compressed %d times, want %d at the most", len(tt.p), n, tt.compressions)
		}
		// What is their own goes on from there.
		for _, m := range all {
			p := []byte(talk(99, 1400))
			m.Send(wstest.Binary(p))
			wire := expect(m, p, m.out != nil)
			if m.name == "context" && tt.forms > 0 && len(wire) > 400 {
				t.Errorf("%d bytes of a message that resembles the one before", len(wire))
			}
		}
	}
}

// Handlers on workers get messages inflated, and their answers go compressed.
func TestDeflateBlocking(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) { c.Send(op, p) }})
	})
	c := dialDeflate(t, srv, offer, noTakeover)
	var d deflater
	const all = 200
	for i := range all {
		c.Send(compressed(perch.Text, d.deflate(t, []byte(talk(uint64(i), 1100+i)))))
	}
	for i := range all {
		got, err := c.Next()
		if err != nil || got.Rsv != frame.RSV1 || string(d.inflate(t, got.Payload)) != talk(uint64(i), 1100+i) {
			t.Fatalf("message %d: %v, %v", i, got, err)
		}
	}
	c.CloseHandshake(perch.CloseNormal)
}

// Of messages that are dropped for a full queue the context knows nothing.
func TestDeflateGap(t *testing.T) {
	dropped, much := make(chan int, 1), noise(1, 15000)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 32 << 10, Compression: perch.Compression{ServerTakeover: true}}, perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			n := 0
			for i := 0; i < 4000 && n < 100; i++ {
				m := append([]byte(talk(uint64(i), 1000)), much...)
				var err error
				if i%2 == 0 {
					err = c.Send(perch.Binary, m)
				} else {
					err = c.SendPrepared(perch.Prepare(perch.Binary, m))
				}
				if errors.Is(err, perch.ErrSlowConsumer) {
					n++
				}
			}
			dropped <- n
		},
		OnGap: func(c perch.Conn, _ int) { c.Send(perch.Text, []byte(talk(1, 3000))) },
	})
	c := dialDeflate(t, srv, offer, "permessage-deflate; client_no_context_takeover")
	out := deflater{takeover: true}
	c.Send(wstest.Text("go"))
	if n := wstest.Receive(t, "the sends", dropped); n == 0 {
		t.Fatal("nothing was dropped")
	}
	last := -1
	for {
		got, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Rsv != 0 {
			got.Payload = out.inflate(t, got.Payload)
		}
		if got.Op == perch.Text {
			if string(got.Payload) != talk(1, 3000) {
				t.Fatal("behind the gap the context is another")
			}
			break
		}
		for last++; !bytes.HasPrefix(got.Payload, []byte(talk(uint64(last), 1000))); last++ {
			if last > 4000 {
				t.Fatal("a message that was never sent")
			}
		}
	}
	c.CloseHandshake(perch.CloseNormal)
}

// Where our context lives on, messages are compressed from 32 bytes, or from what was
// asked for: by every way to send, and they go on from each other.
func TestDeflateTakeoverThreshold(t *testing.T) {
	for threshold, from := range map[int]int{0: 32, -1: 1, 500: 500} {
		srv := enginetest.StartRoute(t, perch.Config{Loops: 1, Rate: enginetest.Unlimited, Compression: perch.Compression{Threshold: threshold, ServerTakeover: true}}, perch.Handler{
			OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
				c.Send(op, p)
				c.SendPrepared(perch.Prepare(op, p))
				c.Ref().Send(op, p)
				c.Ref().SendPrepared(perch.Prepare(op, p))
			},
		})
		c := dialDeflate(t, srv, offer, "permessage-deflate; client_no_context_takeover")
		d := deflater{takeover: true}
		for _, n := range []int{from - 1, from, from + 1, 1000, from} {
			p := []byte(talk(1, n))
			c.Send(wstest.Text(string(p)))
			for way := range 4 {
				got, err := c.Next()
				if err != nil || (got.Rsv == frame.RSV1) != (n >= from) {
					t.Fatalf("threshold %d, %d bytes, way %d: %v, %v", threshold, n, way, got, err)
				}
				if got.Rsv != 0 {
					if n > 100 && way > 0 && len(got.Payload) > n/8 {
						t.Errorf("threshold %d, %d bytes, way %d: %d bytes for what was said before", threshold, n, way, len(got.Payload))
					}
					got.Payload = d.inflate(t, got.Payload)
				}
				if !bytes.Equal(got.Payload, p) {
					t.Fatalf("threshold %d, %d bytes, way %d: comes back as %q", threshold, n, way, got.Payload)
				}
			}
		}
		c.CloseHandshake(perch.CloseNormal)
	}
}
