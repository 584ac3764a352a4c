//go:build linux

package rooms_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// clog sends numbered messages, from n on, to a peer that does not read, until at
// least so many bytes are queued that the kernel does not take. It returns the
// number of the next.
func clog(t testing.TB, srv *perch.Server, ref perch.Ref, n, want int) int {
	t.Helper()
	for enough := 0; enough < 2; enough++ {
		within(t, ref, func(c perch.Conn) {
			for c.Queued() < want {
				if err := c.Send(perch.Binary, enginetest.Numbered(n, enginetest.FillSize)); err != nil {
					t.Errorf("message %d: %v", n, err)
					return
				}
				n++
				enough = -1
			}
		})
		ticks := srv.Stats().Ticks.Count
		enginetest.AwaitStats(t, srv, "what is queued was tried", func(s *perch.Stats) bool { return s.Ticks.Count >= ticks+2 })
	}
	return n
}

// sendClasses sends a message of each class to the room.
func sendClasses(r *room.Room, when string) {
	for class, name := range []string{room.ClassMessage: "message", room.ClassPresence: "presence", room.ClassTyping: "typing"} {
		r.Send(room.Text([]byte(name+" "+when)), room.Class(class))
	}
}

// From a member that does not keep up typing is held back first, from a
// sixteenth of its queue, then presence, from half of it; messages never: it is
// closed. The others get everything.
func TestClassesShed(t *testing.T) {
	const limit = 2 << 20
	ended := make(enginetest.Closes, 2)
	srv, connect := startMembers(t, perch.Config{Loops: 1, MaxOutput: limit}, perch.Handler{OnClose: ended.Note})
	r := makeRoom(t, srv, "a", room.Options{})
	slow, slowRef := connect()
	reader, readerRef := connect()
	join(t, slowRef, r)
	join(t, readerRef, r)
	var want []string // what the slow one is to get besides the numbered
	n := 0
	for i, step := range []struct {
		when string
		fill int
		gets []string
		shed uint64
	}{
		{"empty", 0, []string{"message", "presence", "typing"}, 0},
		{"below a sixteenth", limit/16 - 2*enginetest.FillSize, []string{"message", "presence", "typing"}, 0},
		{"over a sixteenth", limit/16 + 1, []string{"message", "presence"}, 1},
		{"below half", limit/2 - 2*enginetest.FillSize, []string{"message", "presence"}, 2},
		{"over half", limit/2 + 1, []string{"message"}, 4},
		{"nearly full", limit - 2*enginetest.FillSize, []string{"message"}, 6},
	} {
		n = clog(t, srv, slowRef, n, step.fill)
		sendClasses(r, step.when)
		for _, class := range []string{"message", "presence", "typing"} {
			reader.ExpectText(class + " " + step.when)
			if slices.Contains(step.gets, class) {
				want = append(want, class+" "+step.when)
			}
		}
		if s := srv.Rooms().Stats(); s.Shed != step.shed {
			t.Errorf("%s (step %d): %d left out, want %d", step.when, i, s.Shed, step.shed)
		}
	}
	var got []string
	next := 0
	for len(got) < len(want) || next < n {
		op, p := slow.NextMessage()
		if op == perch.Text {
			got = append(got, string(p))
			continue
		}
		if !bytes.Equal(p, enginetest.Numbered(next, enginetest.FillSize)) {
			t.Fatalf("message %d is not what was sent", next)
		}
		next++
	}
	if !slices.Equal(got, want) {
		t.Errorf("the slow one got %q, want %q", got, want)
	}
	for i := 0; srv.Stats().SlowConsumers == 0; i++ {
		if i > 4096 {
			t.Fatal("a member that does not read is never too slow")
		}
		r.Send(room.Frames{perch.Prepare(perch.Binary, make([]byte, enginetest.FillSize))}, room.ClassMessage)
		sendClasses(r, fmt.Sprint("full ", i))
		reader.Expect(perch.Binary, make([]byte, enginetest.FillSize))
		for _, class := range []string{"message", "presence", "typing"} {
			reader.ExpectText(fmt.Sprint(class, " full ", i))
		}
	}
	for {
		f, err := slow.Next()
		if err != nil {
			t.Fatalf("%v, want close 3000", err)
		}
		if code, _ := f.CloseInfo(); f.Op == frame.OpClose {
			if code != perch.CloseSlowConsumer {
				t.Errorf("closed with %v", f)
			}
			break
		}
	}
	slow.Close()
	if err := wstest.Receive(t, "OnClose", ended); err.Code != perch.CloseSlowConsumer {
		t.Errorf("closed with %v", err)
	}
	if s := srv.Stats(); s.SlowConsumers != 1 || s.MessagesDropped != 0 {
		t.Errorf("%d slow consumers, %d dropped", s.SlowConsumers, s.MessagesDropped)
	}
}

// A member that has stopped reading delays nobody: a message reaches the others
// in the same time with it and without it.
func TestSlowMemberDelaysNobody(t *testing.T) {
	const readers, messages, rounds = 20, 60, 5
	srv, connect := startMembers(t, perch.Config{Loops: 1, MaxOutput: 16 << 20}, perch.Handler{})
	without, with := makeRoom(t, srv, "without", room.Options{}), makeRoom(t, srv, "with", room.Options{})
	var all []*wstest.Conn
	for range readers {
		c, ref := connect()
		join(t, ref, without)
		join(t, ref, with)
		all = append(all, c)
	}
	_, slow := connect()
	join(t, slow, with)
	clog(t, srv, slow, 0, 1<<20)
	measure := func(r *room.Room) (each []time.Duration) {
		for n := range messages {
			begun := time.Now()
			publish(t, r, fmt.Sprint(n))
			for _, c := range all {
				c.ExpectText(fmt.Sprint(n))
			}
			each = append(each, time.Since(begun))
		}
		return each
	}
	var took [2][]time.Duration
	for range rounds { // in turn: the machine has other things to do as well
		took[0] = append(took[0], measure(without)...)
		took[1] = append(took[1], measure(with)...)
	}
	median := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	a, b := median(took[0]), median(took[1])
	t.Logf("to %d members: %v without, %v with one that does not read", readers, a, b)
	if b > 3*a+time.Millisecond {
		t.Errorf("a message takes %v with a member that does not read, %v without", b, a)
	}
	if s := srv.Stats(); s.SlowConsumers != 0 {
		t.Errorf("%d slow consumers: the queue was to hold all", s.SlowConsumers)
	}
}

// A connection that is sent more in one turn of the loop than its queue may hold is no slow consumer if its socket
// takes it.
func TestBurstIsNotSlow(t *testing.T) {
	const limit, messages = 256 << 10, 400
	for name, send := range map[string]func(perch.Ref, *room.Room, []byte){
		"Publish":      func(_ perch.Ref, r *room.Room, p []byte) { r.Publish(room.Message{Op: perch.Binary, Payload: p}, nil) },
		"Send":         func(ref perch.Ref, _ *room.Room, p []byte) { ref.Send(perch.Binary, p) },
		"SendPrepared": func(ref perch.Ref, _ *room.Room, p []byte) { ref.SendPrepared(perch.Prepare(perch.Binary, p)) },
	} {
		t.Run(name, func(t *testing.T) {
			srv, connect := startMembers(t, perch.Config{Loops: 1, MaxOutput: limit, SendBuffer: -1}, perch.Handler{})
			r := makeRoom(t, srv, "a", room.Options{})
			c, ref := connect()
			join(t, ref, r)
			entered, release := make(chan bool), make(chan bool)
			ref.Do(func(perch.Conn) { entered <- true; <-release })
			wstest.Receive(t, "the callback", entered)
			for n := range messages { // 1.6 MB: the loop carries it out in one turn, a socket takes it
				send(ref, r, enginetest.Numbered(n, enginetest.FillSize/2))
			}
			close(release)
			for n := range messages {
				c.Expect(perch.Binary, enginetest.Numbered(n, enginetest.FillSize/2))
			}
			if s := srv.Stats(); s.SlowConsumers != 0 {
				t.Errorf("%d slow consumers", s.SlowConsumers)
			}
		})
	}
}

// A room that is not there, or another server's, cannot be joined.
func TestJoinNoRoom(t *testing.T) {
	_, connect := startMembers(t, perch.Config{Loops: 1}, perch.Handler{})
	_, ref := connect()
	foreign, err := perch.New(perch.Config{}).Rooms().Create("a", room.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	ref.Do(func(c perch.Conn) {
		for _, r := range []*room.Room{nil, foreign} {
			_, err := c.Join(r, room.JoinOptions{})
			done <- err
		}
	})
	for range 2 {
		if err := wstest.Receive(t, "Join", done); !errors.Is(err, room.ErrNotFound) {
			t.Errorf("joined: %v", err)
		}
	}
}

// OnDrain and OnGap may act in the middle of a delivery on members that it has yet
// to reach. That counts at once: a member that has left or is closed gets no more,
// all others get it once.
func TestDeliveryWhileMembersChange(t *testing.T) {
	const members, size = 400, 2 << 10
	for _, tc := range []struct {
		name string
		gap  bool
	}{{"OnDrain", false}, {"OnGap", true}} {
		t.Run(tc.name, func(t *testing.T) {
			var r *room.Room
			var conns []perch.Conn // the server's ends: all on one loop
			done := false
			change := func() { // 0 is the first to get it, the others are far behind
				if done {
					return
				}
				done = true
				for i := range conns {
					switch {
					case i == 0 || i >= 300 && i < 320:
						if _, err := conns[i].Leave(r); err != nil {
							t.Errorf("leave %d: %v", i, err)
						}
					case i >= 340 && i < 360:
						conns[i].Close(4000, "out")
					case i == 380: // comes again: it did not go
						conns[i].Leave(r)
						conns[i].Join(r, room.JoinOptions{})
					}
				}
			}
			h := perch.Handler{OnDrain: func(c perch.Conn) {
				switch {
				case len(conns) < members || c != conns[0] || done:
				case !tc.gap:
					change()
				default: // over its neighbour's limit: the second is dropped, and what is delivered too
					conns[1].Send(perch.Binary, make([]byte, size))
					conns[1].Send(perch.Binary, make([]byte, size))
				}
			}}
			if tc.gap {
				h.OnGap = func(c perch.Conn, dropped int) {
					if c != conns[1] || dropped != 2 {
						t.Errorf("a gap of %d", dropped)
					}
					change()
				}
			}
			srv, connect := startMembers(t, perch.Config{Loops: 1, MaxOutput: 1 << 10, NewConnectionsPerSecond: -1, CloseTimeout: time.Minute}, h)
			r = makeRoom(t, srv, "a", room.Options{})
			var clients []*wstest.Conn
			for range members {
				c, ref := connect()
				join(t, ref, r)
				within(t, ref, func(c perch.Conn) { conns = append(conns, c) })
				clients = append(clients, c)
			}
			taken := make(chan int, 1)
			first := bytes.Repeat([]byte("1"), size)
			r.Publish(room.Message{Payload: first, Taken: func(n int) { taken <- n }}, nil)
			want := members - 41
			if tc.gap {
				want--
			}
			if n := wstest.Receive(t, "the count", taken); n != want {
				t.Errorf("%d have taken it, want %d", n, want)
			}
			publish(t, r, "second")
			for i, c := range clients {
				switch {
				case i == 0:
					c.Expect(perch.Text, first)
					c.CloseHandshake(frame.CloseNormal)
				case i == 1 && tc.gap:
					c.Expect(perch.Binary, make([]byte, size))
					c.ExpectText("second")
				case i >= 300 && i < 320:
					c.CloseHandshake(frame.CloseNormal)
				case i >= 340 && i < 360:
					c.AnswerClose(4000)
				case i == 380: // its new membership begins behind the first
					c.ExpectText("second")
				default:
					c.Expect(perch.Text, first)
					c.ExpectText("second")
				}
			}
			if s := srv.Stats(); s.Panics != 0 || s.SlowConsumers != 0 {
				t.Errorf("%d panics, %d slow consumers", s.Panics, s.SlowConsumers)
			}
		})
	}
}
