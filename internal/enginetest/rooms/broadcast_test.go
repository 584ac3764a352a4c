//go:build linux

package rooms_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Several goroutines broadcast at once, callbacks of the loops too: everybody
// gets everything, once, and in the same order.
func TestBroadcastTotalOrder(t *testing.T) {
	const members, publishers, messages = 24, 8, 150
	var broadcast func(*perch.Prepared)
	var number atomic.Int64
	publish := func() { broadcast(perch.Prepare(perch.Text, strconv.AppendInt(nil, number.Add(1), 10))) }
	srv := enginetest.Start(t, perch.Config{Loops: 8, MaxOutput: 16 << 20, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		var h perch.Handler
		h, broadcast = enginetest.Audience(srv, perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) { publish() }})
		srv.Handle("/ws", h)
		srv.Handle("/other", enginetest.Echo())
	})
	other := wstest.Dial(t, srv.Addr().String(), "/other")
	var all []*wstest.Conn
	for range members {
		all = append(all, enginetest.Dial(t, srv))
	}
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for range messages {
				publish()
			}
		})
	}
	for range messages {
		for _, c := range all[:2] {
			c.Send(wstest.Text("publish"))
		}
	}
	const total = (publishers + 2) * messages
	var order []string
	seen := make(map[string]bool)
	for range total {
		_, p := all[0].NextMessage()
		if seen[string(p)] {
			t.Fatalf("message %s came twice", p)
		}
		seen[string(p)] = true
		order = append(order, string(p))
	}
	for i, c := range all[1:] {
		for n := range order {
			if _, p := c.NextMessage(); string(p) != order[n] {
				t.Fatalf("member %d: message %d is %s, the first member had %s", i+1, n, p, order[n])
			}
		}
	}
	publishing.Wait()
	other.Send(wstest.Text("nothing before this"))
	other.ExpectText("nothing before this")
	if s := srv.Stats(); s.MessagesSent != members*total+1 {
		t.Errorf("%d messages sent, want %d", s.MessagesSent, members*total+1)
	}
}

// A member that does not read is closed with 3000 in the end and delays nobody.
func TestBroadcastPastSlowMember(t *testing.T) {
	const messages, size = 200, 64 << 10
	var broadcast func(*perch.Prepared)
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.Start(t, perch.Config{Loops: 1}, func(srv *perch.Server) {
		var h perch.Handler
		h, broadcast = enginetest.Audience(srv, perch.Handler{OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err }})
		srv.Handle("/ws", h)
	})
	slow, reader := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
	p := make([]byte, size)
	for n := range messages {
		p[0] = byte(n)
		broadcast(perch.Prepare(perch.Binary, p))
		if _, got := reader.NextMessage(); len(got) != size || got[0] != byte(n) {
			t.Fatalf("message %d: %d bytes", n, len(got))
		}
	}
	if s := srv.Stats(); s.SlowConsumers != 1 || s.MessagesDropped != 0 {
		t.Errorf("%d slow consumers, %d messages dropped", s.SlowConsumers, s.MessagesDropped)
	}
	for n := 0; ; n++ { // whole frames in order, then the reason
		f, err := slow.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpClose {
			if code, _ := f.CloseInfo(); code != perch.CloseSlowConsumer {
				t.Errorf("closed with %v", f)
			}
			break
		}
		if len(f.Payload) != size || f.Payload[0] != byte(n) {
			t.Fatalf("frame %d: %v", n, f.Op)
		}
	}
	slow.ExpectEOF()
	slow.Close()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseSlowConsumer || !errors.Is(err, perch.ErrSlowConsumer) {
		t.Errorf("OnClose: %v", err)
	}
}

// Only the open get it: not before 101, not after a close frame.
func TestBroadcastToOpenOnly(t *testing.T) {
	var broadcast func(*perch.Prepared)
	srv := enginetest.Start(t, perch.Config{Loops: 1}, func(srv *perch.Server) { // so that who has it tells that all have
		var h perch.Handler
		h, broadcast = enginetest.Audience(srv, perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Close(perch.CloseNormal, "") }})
		srv.Handle("/ws", h)
	})
	request := wstest.Request("test", "/ws")
	early := wstest.Connect(t, srv.Addr().String())
	early.Write(request[:len(request)-2])
	closing, member := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
	closing.Send(wstest.Text("close me"))
	enginetest.AwaitStats(t, srv, "the close is under way", func(s *perch.Stats) bool {
		return s.MessagesReceived == 1 && s.Accepted == 3 && s.BytesReceived >= uint64(3*len(request)-2)
	})
	broadcast(perch.Prepare(perch.Text, []byte("news")))
	member.ExpectText("news")
	closing.AnswerClose(perch.CloseNormal)
	early.Write(request[len(request)-2:])
	early.ExpectUpgraded()
	early.CloseHandshake(frame.CloseNormal)
}
