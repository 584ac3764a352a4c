//go:build linux

package closing_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// told is what a test expects of an event: "event from>to cause, unit number", where the number
// is left out if the test cannot know it.
func told(e perch.TraceEvent) string {
	s := e.Event
	if e.From != e.To {
		s += " " + e.From + ">" + e.To
	}
	if e.Cause != "" {
		s += " " + e.Cause
	}
	switch e.Unit {
	case "":
	case "bytes queued", "ms", "messages":
		s += ", " + e.Unit
	default:
		s += fmt.Sprintf(", %s %d", e.Unit, e.Number)
	}
	return s
}

// story waits for the end of a connection, and returns what is told of it.
func story(t *testing.T, srv *perch.Server, id perch.ID) (lines []string) {
	t.Helper()
	var all []perch.TraceEvent
	var whole bool
	wstest.Eventually(t, "the connection is reaped", func() bool {
		all, whole = srv.Trace(id)
		return len(all) > 0 && all[len(all)-1].Event == "reaped"
	})
	if !whole {
		t.Errorf("the beginning is lost: %v", all)
	}
	checkStory(t, all, whole)
	for _, e := range all {
		lines = append(lines, told(e))
	}
	return lines
}

// checkStory wants one connection's story, without a break in it.
func checkStory(t *testing.T, all []perch.TraceEvent, whole bool) {
	t.Helper()
	for i, e := range all {
		if i == 0 {
			if whole != (e.From == "free") {
				t.Errorf("whole: %v, and it begins with %v", whole, e)
			}
			continue
		}
		before := all[i-1]
		if e.From != before.To || e.At < before.At || e.From == "free" {
			t.Errorf("%v behind %v", e, before)
		}
	}
}

// expectStory compares a story with what is wanted of it.
func expectStory(t *testing.T, srv *perch.Server, id perch.ID, want ...string) {
	t.Helper()
	if got := story(t, srv, id); !slices.Equal(got, want) {
		t.Errorf("the story is\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// slotOf is the ID of the first connection in a slot of the server's first loop. Slots are used in order, so that
// the ID of a connection that never opens is known.
func slotOf(t *testing.T, any perch.ID, slot uint32) perch.ID {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(any.String())
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(b[10:], slot)
	binary.BigEndian.PutUint32(b[14:], 1)
	id, err := perch.ParseID(base64.RawURLEncoding.EncodeToString(b))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// traced is a server of one loop whose handler tells the IDs of its connections.
type traced struct {
	srv *perch.Server
	ids chan perch.ID
}

// newTraced starts one; change makes the handler what the test needs.
func newTraced(t *testing.T, cfg perch.Config, change func(h *perch.Handler)) *traced {
	t.Helper()
	r := &traced{ids: make(chan perch.ID, 64)}
	h := enginetest.Echo()
	if change != nil {
		change(&h)
	}
	opened := h.OnOpen
	h.OnOpen = func(c perch.Conn, req *perch.Request) {
		r.ids <- c.ID()
		if opened != nil {
			opened(c, req)
		}
	}
	cfg.Loops = 1
	r.srv = enginetest.StartRoute(t, cfg, h)
	return r
}

// open makes a connection and returns it with its ID.
func (r *traced) open(t *testing.T) (*wstest.Conn, perch.ID) {
	t.Helper()
	c := enginetest.Dial(t, r.srv)
	return c, wstest.Receive(t, "OnOpen", r.ids)
}

const (
	begun  = "accepted free>handshake"
	opened = "opened handshake>open"
	sent   = "output_sent failing>lingering"
	read   = "input_discarded lingering>closed"
	reaped = "reaped closed>free"
)

// TestTrace: a story for each kind of end.
func TestTrace(t *testing.T) {
	t.Run("the peer closes", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		c, id := r.open(t)
		if now, whole := r.srv.Trace(id); len(now) != 2 || !whole || now[1].To != "open" {
			t.Errorf("of an open connection: %v, %v", now, whole)
		}
		c.CloseHandshake(frame.CloseGoingAway)
		expectStory(t, r.srv, id, begun, opened, "close_received open>replying peer, code 1001", "output_sent replying>closed", reaped)
	})
	t.Run("we close", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Close(4000, "") }
		})
		c, id := r.open(t)
		c.Send(wstest.Text("close"))
		c.AnswerClose(4000)
		expectStory(t, r.srv, id, begun, opened, "close_called open>closing application, code 4000",
			"close_received closing>draining peer, code 4000", "output_sent draining>closed", reaped)
	})
	t.Run("protocol error", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		c, id := r.open(t)
		c.Send(wstest.Frame{Op: frame.OpText, Rsv: 4})
		c.ExpectFail(frame.CloseProtocolError)
		c.Close()
		expectStory(t, r.srv, id, begun, opened, "fault open>failing protocol_error, code 1002", sent, read, reaped)
	})
	t.Run("panic", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, func(h *perch.Handler) {
			h.OnMessage = func(perch.Conn, perch.Opcode, []byte) { enginetest.Boom() }
		})
		c, id := r.open(t)
		c.Send(wstest.Text("panic"))
		c.ExpectFail(frame.CloseInternalError)
		c.Close()
		expectStory(t, r.srv, id, begun, opened, "panicked open>failing panic, code 1011", sent, read, reaped)
	})
	t.Run("FIN", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		c, id := r.open(t)
		c.Close()
		expectStory(t, r.srv, id, begun, opened, "end_of_input open>closed eof", reaped)
	})
	t.Run("RST", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		c, id := r.open(t)
		c.Reset()
		expectStory(t, r.srv, id, begun, opened, "broken open>closed socket_error, errno 104", reaped)
	})
	t.Run("heartbeat", func(t *testing.T) {
		r := newTraced(t, perch.Config{PingInterval: 20 * time.Millisecond, PingTimeout: 80 * time.Millisecond}, nil)
		c, id := r.open(t)
		enginetest.ExpectPing(t, c)
		c.ExpectClose(perch.CloseHeartbeatTimeout)
		c.Close()
		expectStory(t, r.srv, id, begun, opened, "ping_unanswered, ms", "fault open>failing heartbeat_timeout, code 3001", sent, read, reaped)
	})
	t.Run("shutdown", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		c, id := r.open(t)
		result := enginetest.Shutdown(t, r.srv)
		c.AnswerClose(perch.CloseGoingAway)
		enginetest.ExpectShutdown(t, r.srv, result)
		expectStory(t, r.srv, id, begun, opened, "shutdown open>closing shutdown, code 1001",
			"close_received closing>draining peer, code 1001", "output_sent draining>closed", reaped)
	})
	t.Run("abort", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		_, id := r.open(t)
		r.srv.Close()
		expectStory(t, r.srv, id, begun, opened, "shutdown open>closing shutdown, code 1001", "aborted closing>closed abort", reaped)
	})
}

// TestTraceSlow: reading is held, and goes on or not; messages are left out.
func TestTraceSlow(t *testing.T) {
	filling := func(h *perch.Handler) {
		h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) {
			for c.Send(perch.Binary, make([]byte, 32<<10)) == nil {
			}
		}
	}
	t.Run("slow consumer", func(t *testing.T) {
		r := newTraced(t, perch.Config{MaxOutput: 1 << 20}, filling)
		c, id := r.open(t)
		c.Send(wstest.Text("fill"))
		var all []perch.TraceEvent
		wstest.Eventually(t, "it is given up", func() bool {
			all, _ = r.srv.Trace(id)
			return all[len(all)-1].Event == "slow_consumer"
		})
		if n := all[len(all)-1].Number; n < 1<<20 || all[len(all)-1].Unit != "bytes queued" {
			t.Errorf("with %v", all[len(all)-1])
		}
		c.Reset()
		expectStory(t, r.srv, id, begun, opened, "slow_consumer open>failing slow_consumer, bytes queued", "broken failing>closed socket_error, errno 104", reaped)
	})
	t.Run("pause and gap", func(t *testing.T) {
		r := newTraced(t, perch.Config{MaxOutput: 1 << 20, Rate: enginetest.Unlimited}, func(h *perch.Handler) {
			filling(h)
			h.OnGap = func(perch.Conn, int) {}
		})
		c, id := r.open(t)
		c.Send(wstest.Text("fill"))
		wstest.Eventually(t, "the pause is told", func() bool {
			all, _ := r.srv.Trace(id)
			return all[len(all)-1].Event == "paused"
		})
		seen := func(event string) bool {
			all, _ := r.srv.Trace(id)
			return slices.ContainsFunc(all, func(e perch.TraceEvent) bool { return e.Event == event && (e.Unit != "messages" || e.Number == 1) })
		}
		for !seen("gap") || !seen("resumed") {
			c.NextMessage()
		}
		c.Reset()
		got := story(t, r.srv, id)
		for _, want := range []string{"paused output_waits, bytes queued", "resumed, bytes queued", "gap, messages"} {
			if !slices.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
	})
}

// TestTraceRefused: connections that never open.
func TestTraceRefused(t *testing.T) {
	t.Run("by a rule", func(t *testing.T) {
		r := newTraced(t, perch.Config{}, nil)
		_, first := r.open(t)
		c, resp := enginetest.Upgrade(t, r.srv, "/ws", "Origin: https://elsewhere.test")
		if resp.Status != 403 {
			t.Fatalf("status %d", resp.Status)
		}
		c.Close()
		expectStory(t, r.srv, slotOf(t, first, 1), begun, "refused handshake>failing refused_origin, status 403", sent, read, reaped)
	})
	t.Run("by its time", func(t *testing.T) {
		r := newTraced(t, perch.Config{HandshakeTimeout: 500 * time.Millisecond}, nil)
		_, first := r.open(t)
		c := wstest.Connect(t, r.srv.Addr().String())
		if resp := c.ReadResponse(); resp.Status != 408 {
			t.Fatalf("status %d", resp.Status)
		}
		c.Close()
		expectStory(t, r.srv, slotOf(t, first, 1), begun, "timeout handshake>failing refused_timeout, status 408", sent, read, reaped)
	})
	t.Run("TLS", func(t *testing.T) {
		cfg, client := enginetest.Secured(t, perch.Config{})
		r := newTraced(t, cfg, nil)
		enginetest.DialTLS(t, r.srv, client)
		first := wstest.Receive(t, "OnOpen", r.ids)
		// the first: a record with an empty ClientHello
		for _, hello := range []string{"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "\x00\x01\x02 no TLS"} {
			c := wstest.Connect(t, r.srv.Addr().String())
			c.Write([]byte(hello))
			if b, err := io.ReadAll(c.TCP()); err != nil || len(b) == 0 {
				t.Errorf("an alert and the end: %q, %v", b, err)
			}
			c.Close()
		}
		securing := "accepted free>securing"
		expectStory(t, r.srv, slotOf(t, first, 1), securing, "tls_failed securing>failing tls_handshake", sent, read, reaped)
		expectStory(t, r.srv, slotOf(t, first, 2), securing, "tls_failed securing>failing not_tls", sent, read, reaped)
	})
}

// TestTraceDial: connections that we dial.
func TestTraceDial(t *testing.T) {
	dialled := func(t *testing.T, h perch.Handler, url string, ctx context.Context) (*perch.Server, <-chan perch.ID) {
		srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, enginetest.Echo())
		ids := make(chan perch.ID, 1)
		h.OnClose = func(c perch.Conn, _ *perch.CloseError) { ids <- c.ID() }
		if err := srv.Dial(ctx, url, h); err != nil {
			t.Fatal(err)
		}
		return srv, ids
	}
	ln := wstest.Listen(t)
	url := enginetest.URL(ln.Addr())
	t.Run("opened", func(t *testing.T) {
		srv, ids := dialled(t, perch.Handler{}, url, t.Context())
		c := wstest.AcceptConn(t, ln)
		c.Send(wstest.Close(frame.CloseNormal, ""))
		c.ExpectClose(frame.CloseNormal)
		c.Close()
		expectStory(t, srv, wstest.Receive(t, "OnClose", ids), "dialled free>connecting", "connected connecting>answer", "opened answer>open",
			"close_received open>replying peer, code 1000", "output_sent replying>lingering", read, reaped)
	})
	t.Run("refused", func(t *testing.T) {
		srv, ids := dialled(t, perch.Handler{}, url, t.Context())
		c := wstest.AcceptRaw(t, ln)
		c.ReadRequest("Sec-WebSocket-Key")
		c.Write([]byte("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))
		expectStory(t, srv, wstest.Receive(t, "OnClose", ids), "dialled free>connecting", "connected connecting>answer",
			"broken answer>closed dial_refused, status 401", reaped)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		srv, ids := dialled(t, perch.Handler{}, url, ctx)
		c := wstest.AcceptRaw(t, ln)
		c.ReadRequest("Sec-WebSocket-Key")
		cancel()
		expectStory(t, srv, wstest.Receive(t, "OnClose", ids), "dialled free>connecting", "connected connecting>answer",
			"broken answer>closed dial_cancelled", reaped)
	})
	t.Run("nobody listens", func(t *testing.T) {
		srv, ids := dialled(t, perch.Handler{}, "ws://127.0.0.1:1/ws", t.Context())
		expectStory(t, srv, wstest.Receive(t, "OnClose", ids), "dialled free>connecting", "broken connecting>closed dial_failed", reaped)
	})
}

// TestTraceForeign: what is no connection of the server's has no story.
func TestTraceForeign(t *testing.T) {
	r := newTraced(t, perch.Config{}, nil)
	other := newTraced(t, perch.Config{}, nil)
	_, id := other.open(t)
	for _, id := range []perch.ID{{}, id, slotOf(t, id, 99)} {
		if all, whole := r.srv.Trace(id); len(all) != 0 || whole {
			t.Errorf("%v: %v, %v", id, all, whole)
		}
	}
	if all, whole := other.srv.Trace(slotOf(t, id, 99)); len(all) != 0 || whole {
		t.Errorf("of a slot that was never used: %v, %v", all, whole)
	}
	if all, _ := perch.New(perch.Config{}).Trace(id); all != nil {
		t.Errorf("of a server that was not started: %v", all)
	}
}
