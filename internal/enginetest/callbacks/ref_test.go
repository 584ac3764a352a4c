//go:build linux

package callbacks_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// startRefs serves /ws and passes on the Ref of every connection.
func startRefs(t *testing.T, cfg perch.Config) (*perch.Server, <-chan perch.Ref) {
	t.Helper()
	refs := make(chan perch.Ref, 64)
	return enginetest.StartRoute(t, cfg, perch.Handler{OnOpen: func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }}), refs
}

// Many goroutines post to one connection: what each of them posts stays in order.
func TestRefOrder(t *testing.T) {
	const posters, posts = 8, 300
	srv, refs := startRefs(t, perch.Config{})
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	var all sync.WaitGroup
	for poster := range posters {
		all.Go(func() {
			for n := range posts {
				var err error
				s := strconv.Itoa(poster) + " " + strconv.Itoa(n)
				switch n % 3 {
				case 0:
					err = ref.SendText(s)
				case 1:
					err = ref.SendPrepared(perch.Prepare(perch.Text, []byte(s)))
				default:
					err = ref.Do(func(c perch.Conn) { c.SendText(s) })
				}
				if err != nil {
					t.Errorf("post %s: %v", s, err)
				}
			}
		})
	}
	next := make(map[string]int)
	for range posters * posts {
		_, p := c.NextMessage()
		poster, n := string(p[:1]), string(p[2:])
		if n != strconv.Itoa(next[poster]) {
			t.Fatalf("poster %s: got %s, want %d", poster, n, next[poster])
		}
		next[poster]++
	}
	all.Wait()
	if err := ref.Close(4001, "enough"); err != nil {
		t.Fatal(err)
	}
	if reason := c.AnswerClose(4001); reason != "enough" {
		t.Errorf("reason %q", reason)
	}
}

// What is posted is copied: the caller's bytes are its own again.
func TestRefSendCopies(t *testing.T) {
	srv, refs := startRefs(t, perch.Config{})
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	p := []byte("before")
	if err := ref.Send(perch.Text, p); err != nil {
		t.Fatal(err)
	}
	copy(p, "after.")
	c.ExpectText("before")
}

// Arguments that are wrong are refused before anything is posted.
func TestRefBadArguments(t *testing.T) {
	srv, refs := startRefs(t, perch.Config{})
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	if err := ref.Send(frame.OpPing, nil); !errors.Is(err, perch.ErrOpcode) {
		t.Errorf("sending a ping: %v", err)
	}
	if err := ref.SendText("\xff"); !errors.Is(err, perch.ErrUTF8) {
		t.Errorf("sending what is no text: %v", err)
	}
	for _, code := range []perch.CloseCode{0, 999, 1004, 1005, 1006, 1015, 2999, 5000} {
		if err := ref.Close(code, ""); !errors.Is(err, perch.ErrCloseCode) {
			t.Errorf("closing with %d: %v", code, err)
		}
	}
	if err := ref.SendText("still open"); err != nil {
		t.Error(err)
	}
	c.ExpectText("still open")
}

// A Ref outlives its connection and never means another one, although the slot
// is used again many times.
func TestRefStaysStale(t *testing.T) {
	srv, refs := startRefs(t, perch.Config{Loops: 1, NewConnectionsPerSecond: -1})
	c := enginetest.Dial(t, srv)
	old := wstest.Receive(t, "OnOpen", refs)
	c.CloseHandshake(frame.CloseNormal)
	c.Close()
	wstest.Eventually(t, "the connection is closed", old.Closed)
	ids := map[perch.ID]bool{old.ID(): true}
	for range 1100 { // more than one chunk of slots, so that every slot comes round
		c := enginetest.Dial(t, srv)
		ref := wstest.Receive(t, "OnOpen", refs)
		if ids[ref.ID()] || ref == old {
			t.Fatalf("id %v is used twice", ref.ID())
		}
		ids[ref.ID()] = true
		if err := errors.Join(old.SendText("for somebody else"), old.Close(perch.CloseNormal, "")); !errors.Is(err, perch.ErrClosed) {
			t.Fatalf("posting to a closed connection: %v", err)
		}
		c.CloseHandshake(frame.CloseNormal) // would see the text first
		c.Close()
	}
	for name, err := range map[string]error{
		"Send": old.Send(perch.Text, nil), "SendPrepared": old.SendPrepared(perch.Prepare(perch.Text, nil)),
		"Do": old.Do(func(perch.Conn) { t.Error("Do on a closed connection") }), "SetValue": old.SetValue(1),
	} {
		if !errors.Is(err, perch.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if old.Value() != nil {
		t.Error("a closed connection has a value")
	}
	if id, err := perch.ParseID(old.ID().String()); err != nil || id != old.ID() {
		t.Errorf("id %v came back as %v, %v", old.ID(), id, err)
	}
}

// The zero Ref is closed.
func TestZeroRef(t *testing.T) {
	var r perch.Ref
	for name, err := range map[string]error{
		"Send": r.Send(perch.Text, nil), "SendText": r.SendText(""), "SendPrepared": r.SendPrepared(perch.Prepare(perch.Text, nil)),
		"Close": r.Close(perch.CloseNormal, ""), "Do": r.Do(func(perch.Conn) {}), "SetValue": r.SetValue(1),
	} {
		if !errors.Is(err, perch.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !r.Closed() || r.Value() != nil || r.ID() != (perch.ID{}) {
		t.Error("the zero Ref is a connection")
	}
}

// After the server has ended a Ref is closed as well.
func TestRefAfterServer(t *testing.T) {
	srv, refs := startRefs(t, perch.Config{})
	enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	srv.Close()
	srv.Wait()
	if err := ref.SendText("anybody?"); !errors.Is(err, perch.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// Values may be read anywhere while the loop writes them.
func TestRefValue(t *testing.T) {
	srv, refs := startRefs(t, perch.Config{})
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	if ref.Value() != nil {
		t.Error("a value out of nothing")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 200 {
				ref.SetValue(n)
				if v := ref.Value(); v != nil && (v.(int) < 0 || v.(int) >= 200) {
					t.Errorf("value %v", v)
				}
			}
		})
	}
	all.Wait()
	ref.SetValue("last")
	ref.Do(func(c perch.Conn) { c.SendText(c.Value().(string)) })
	c.ExpectText("last")
	if v := ref.Value(); v != "last" {
		t.Errorf("value %v", v)
	}
}

// Stats may be asked for on a loop, where it must not wait, and on a worker.
func TestStatsInCallbacks(t *testing.T) {
	stats := make(chan perch.Stats, 8)
	srv := enginetest.Start(t, perch.Config{Workers: 1}, func(srv *perch.Server) {
		ask := func() { stats <- srv.Stats() }
		srv.Handle("/ws", perch.Handler{
			OnOpen:    func(perch.Conn, *perch.Request) { ask() },
			OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Ref().Do(func(perch.Conn) { ask() }) },
			OnClose:   func(perch.Conn, *perch.CloseError) { ask() },
		})
		srv.HandleBlocking("/worker", perch.BlockingHandler{OnMessage: func(perch.Ref, perch.Opcode, []byte) { ask() }})
	})
	c := enginetest.Dial(t, srv)
	wstest.Receive(t, "Stats in OnOpen", stats)
	c.Send(wstest.Text("x"))
	wstest.Receive(t, "Stats in Do", stats)
	w := wstest.Dial(t, srv.Addr().String(), "/worker")
	w.Send(wstest.Text("x"))
	if s := wstest.Receive(t, "Stats on a worker", stats); s.Opened != 2 || s.MessagesReceived != 2 || s.Connections != 2 {
		t.Errorf("%d opened, %d messages, %d connections", s.Opened, s.MessagesReceived, s.Connections)
	}
	c.CloseHandshake(frame.CloseNormal)
	wstest.Receive(t, "Stats in OnClose", stats)
}

// Each connection has an ID of its own, also one that gets the place of another, and Find knows
// whose it is.
func TestRefID(t *testing.T) {
	refs := make(chan perch.Ref, 1)
	h := perch.Handler{OnOpen: func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }}
	srv := enginetest.StartRoute(t, perch.Config{}, h)
	seen := make(map[perch.ID]bool)
	for n := range 8 {
		c := enginetest.Dial(t, srv)
		ref := wstest.Receive(t, "OnOpen", refs)
		id, err := perch.ParseID(ref.ID().String())
		if err != nil || id != ref.ID() || seen[id] {
			t.Errorf("connection %d has the ID %v, %v; another one had it: %v", n, ref.ID(), err, seen[id])
		}
		if srv.Find(id) != ref {
			t.Errorf("the ID of connection %d is that of another one", n)
		}
		if seen[id] = true; n%2 == 0 {
			c.CloseHandshake(perch.CloseNormal)
			enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Closed == uint64(n/2+1) })
		}
	}
}
