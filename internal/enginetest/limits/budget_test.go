//go:build linux

package limits_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// busy keeps the loop of a connection in a callback until release is called.
func busy(t *testing.T, ref perch.Ref) (release func()) {
	t.Helper()
	in, out := make(chan bool, 1), make(chan bool)
	var once sync.Once
	release = func() { once.Do(func() { close(out) }) }
	t.Cleanup(release)
	if err := ref.Do(func(perch.Conn) { in <- true; <-out }); err != nil {
		t.Fatal(err)
	}
	wstest.Receive(t, "the callback", in)
	return release
}

// What a program posts to a loop that is busy is bounded, whatever it is, and what was
// accepted is carried out. One connection does not take what others need.
func TestPostsBounded(t *testing.T) {
	const total = 4 << 20
	shared := perch.Prepare(perch.Text, bytes.Repeat([]byte("x"), 10<<10))
	for _, tt := range []struct {
		name string
		cost int // of one, in bytes, at least
		post func(ref perch.Ref, hub *room.Hub, r *room.Room, done *int) error
	}{
		{"Send", 1000, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error {
			return ref.Send(perch.Binary, make([]byte, 1000))
		}},
		{"Send of nothing", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error { return ref.Send(perch.Binary, nil) }},
		{"Send of a long message", 100_000, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error {
			return ref.Send(perch.Binary, make([]byte, 100_000))
		}},
		{"SendText", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error { return ref.SendText("") }},
		{"SendPrepared", 10 << 10, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error {
			return ref.SendPrepared(perch.Prepare(perch.Text, shared.Payload()))
		}},
		{"SendPrepared of one message", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error { return ref.SendPrepared(shared) }},
		{"Do", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, done *int) error {
			return ref.Do(func(perch.Conn) { *done++ })
		}},
		{"SetValue", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error { return ref.SetValue(1) }},
		{"Close", 100, func(ref perch.Ref, _ *room.Hub, _ *room.Room, _ *int) error {
			return ref.Close(perch.CloseNormal, string(make([]byte, 10_000)))
		}},
		{"Publish", 1000, func(_ perch.Ref, _ *room.Hub, r *room.Room, _ *int) (err error) {
			r.Publish(room.Message{Payload: make([]byte, 1000)}, func(_ room.Receipt, e error) { err = e })
			return err
		}},
		{"Room.Send", 1000, func(_ perch.Ref, _ *room.Hub, r *room.Room, _ *int) error {
			return r.Send(room.Text(make([]byte, 1000)), room.ClassTyping)
		}},
		{"SendUser", 1000, func(_ perch.Ref, hub *room.Hub, _ *room.Room, _ *int) error {
			_, err := hub.SendUser("u", room.Text(make([]byte, 1000)))
			return err
		}},
		{"SendMember", 1000, func(ref perch.Ref, hub *room.Hub, _ *room.Room, _ *int) error {
			return hub.SendMember(ref.Member(), room.Text(make([]byte, 1000)))
		}},
		{"SendAll", 100, func(_ perch.Ref, hub *room.Hub, _ *room.Room, _ *int) error { return hub.SendAll(room.Text(nil)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refs := make(chan perch.Ref, 2)
			var members *room.Room
			h := enginetest.Echo()
			h.OnGap = func(perch.Conn, int) {}
			h.OnOpen = func(c perch.Conn, _ *perch.Request) {
				c.SignIn(room.Identity{ID: "u"})
				c.Join(members, room.JoinOptions{})
				refs <- c.Ref()
			}
			cfg := perch.Config{Loops: 1, MaxOutput: 64 << 10, MaxOutputTotal: total, Rooms: room.Config{MaxQueue: -1, MaxHistory: 1}}
			srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
				members, _ = srv.Rooms().Create("r", room.Options{})
				srv.Handle("/ws", h)
			})
			enginetest.Dial(t, srv)
			one := wstest.Receive(t, "OnOpen", refs)
			enginetest.Dial(t, srv)
			other := wstest.Receive(t, "OnOpen", refs)
			release := busy(t, one)
			n, done := 0, 0
			var err error
			for ; err == nil && n <= total/tt.cost; n++ {
				err = tt.post(one, srv.Rooms(), members, &done)
			}
			if !errors.Is(err, perch.ErrOverloaded) && !errors.Is(err, room.ErrQueueFull) {
				t.Errorf("the %d. post: %v, want ErrOverloaded", n, err)
			}
			if err := other.SendText("room for others"); err != nil {
				t.Errorf("another connection: %v", err)
			}
			if strings.HasPrefix(tt.name, "Send") && tt.name != "SendUser" && tt.name != "SendMember" && tt.name != "SendAll" {
				if err := one.Close(perch.CloseNormal, ""); err != nil { // what is queued for it does not keep it
					t.Errorf("Close: %v", err)
				}
			}
			release()
			s := enginetest.AwaitStats(t, srv, "all is carried out", func(s *perch.Stats) bool { return s.QueuedBytes < total/4 })
			if s.Overloads == 0 || s.Panics != 0 {
				t.Errorf("%d overloads counted, %d panics", s.Overloads, s.Panics)
			}
			if tt.name == "Do" && enginetest.Inside(t, one, func(perch.Conn) error { return nil }) == nil && done != n-1 {
				t.Errorf("%d calls were accepted, %d made", n-1, done)
			}
		})
	}
}

// filling is a handler that fills the queue of a connection, and its socket, when the
// peer asks for it: "900" is KiB.
func filling(refs chan perch.Ref, filled chan bool) perch.Handler {
	return perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() },
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			want, err := strconv.Atoi(string(p))
			if err != nil {
				c.Send(op, p)
				return
			}
			for n := 0; err == nil && c.Queued() < want<<10; n++ {
				err = c.Send(perch.Binary, enginetest.Numbered(n, 16<<10))
			}
			filled <- true
		},
	}
}

// However much output and however many messages wait, connections can be closed and
// calls be made; and rooms publish.
func TestCallsAtTheTotal(t *testing.T) {
	refs := make(chan perch.Ref, 1)
	h := enginetest.Echo()
	h.OnOpen = func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 64 << 10, MaxOutputTotal: 4 << 20}, h)
	var all []perch.Ref
	for range 40 {
		enginetest.Dial(t, srv)
		all = append(all, wstest.Receive(t, "OnOpen", refs))
	}
	release := busy(t, all[0])
	defer release()
	var err error
	for i := 0; i < 100_000 && (err == nil || i%len(all) != 0); i++ {
		err = all[i%len(all)].Send(perch.Binary, make([]byte, 1000))
	}
	if !errors.Is(err, perch.ErrOverloaded) {
		t.Fatalf("Send: %v", err)
	}
	if err := srv.Rooms().SendAll(room.Text([]byte("all"))); err != nil {
		t.Errorf("SendAll: %v", err)
	}
	for i, ref := range all {
		if err := errors.Join(ref.Do(func(perch.Conn) {}), ref.Close(perch.CloseNormal, "")); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// Many connections, each with one message that its own limit allows, do not pass the
// bound of the process. A connection whose message is refused stays open.
func TestOutputTotalOfMany(t *testing.T) {
	const total, each = 64 << 20, 12 << 20
	big := make([]byte, each)
	for _, how := range []string{"Conn.Send", "Conn.SendPrepared", "Ref.Send", "Ref.SendPrepared"} {
		t.Run(how, func(t *testing.T) {
			refs := make(chan perch.Ref, 1)
			h := enginetest.Echo()
			h.OnOpen = func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }
			srv := enginetest.StartRoute(t, perch.Config{Loops: 2, MaxOutput: 64 << 10, MaxOutputTotal: total, WriteTimeout: -1, PingInterval: -1}, h)
			accepted, refused := 0, 0
			for range 20 {
				c := enginetest.Dial(t, srv) // which does not read
				c.TCP().SetReadBuffer(4096)
				ref := wstest.Receive(t, "OnOpen", refs)
				var err error
				switch how {
				case "Conn.Send":
					err = enginetest.Inside(t, ref, func(c perch.Conn) error { return c.Send(perch.Binary, big) })
				case "Conn.SendPrepared":
					err = enginetest.Inside(t, ref, func(c perch.Conn) error { return c.SendPrepared(perch.Prepare(perch.Binary, big)) })
				case "Ref.Send":
					err = ref.Send(perch.Binary, big)
				case "Ref.SendPrepared":
					err = ref.SendPrepared(perch.Prepare(perch.Binary, big))
				}
				switch {
				case err == nil:
					accepted++
				case errors.Is(err, perch.ErrOverloaded):
					if refused++; refused == 1 {
						c.Send(wstest.Text("still here"))
						c.ExpectText("still here")
					}
				default:
					t.Fatal(err)
				}
				if s := srv.Stats(); s.QueuedBytes > total {
					t.Fatalf("%d bytes are queued, more than %d", s.QueuedBytes, total)
				}
			}
			if accepted == 0 || refused == 0 {
				t.Errorf("%d accepted, %d refused", accepted, refused)
			}
		})
	}
}

// A message that can never be kept is refused at once, and one that is accepted is not
// given up for its size: others go before it while its peer reads.
func TestLongMessage(t *testing.T) {
	const total = 64 << 20
	refs, filled := make(chan perch.Ref, 1), make(chan bool, 1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutputTotal: total, WriteTimeout: -1, PingInterval: -1}, filling(refs, filled))
	open := func() (*wstest.Conn, perch.Ref) {
		c := enginetest.Dial(t, srv)
		c.TCP().SetReadBuffer(16 << 10)
		return c, wstest.Receive(t, "OnOpen", refs)
	}
	reader, long := open()
	for _, n := range []int{total * 13 / 16, total, 2 * total} {
		if err := enginetest.Inside(t, long, func(c perch.Conn) error { return c.Send(perch.Binary, make([]byte, n)) }); !errors.Is(err, perch.ErrOverloaded) {
			t.Errorf("Send of %d bytes: %v", n, err)
		}
		if err := long.Send(perch.Binary, make([]byte, n)); !errors.Is(err, perch.ErrOverloaded) {
			t.Errorf("Ref.Send of %d bytes: %v", n, err)
		}
	}
	message := bytes.Repeat([]byte("a long message. "), 44<<20/16)
	if err := enginetest.Inside(t, long, func(c perch.Conn) error { return c.Send(perch.Binary, message) }); err != nil {
		t.Fatal(err)
	}
	// Others fill the rest, until relieve has to choose.
	for n := range 200 {
		c, _ := open()
		c.Send(wstest.Text("900"))
		wstest.Receive(t, "the filling", filled)
		if srv.Stats().SlowConsumers > 0 {
			break
		}
		if n == 199 {
			t.Fatal("nobody was given up")
		}
	}
	reader.ExpectMessage(perch.Binary, message)
	reader.CloseHandshake(perch.CloseNormal)
}

// Who takes next to nothing of a long message is given up when memory is short.
func TestLongMessageDrips(t *testing.T) {
	const total = 32 << 20
	refs, filled, ended := make(chan perch.Ref, 1), make(chan bool, 1), make(enginetest.Closes, 10_000)
	h := filling(refs, filled)
	h.OnClose = ended.Note
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutputTotal: total, WriteTimeout: -1, PingInterval: -1}, h)
	enginetest.Dial(t, srv).TCP().SetReadBuffer(16 << 10)
	long := wstest.Receive(t, "OnOpen", refs)
	if err := enginetest.Inside(t, long, func(c perch.Conn) error { return c.Send(perch.Binary, make([]byte, total*3/4-1000)) }); err != nil {
		t.Fatal(err)
	}
	wstest.Eventually(t, "the long one is given up", func() bool {
		c := enginetest.Dial(t, srv)
		wstest.Receive(t, "OnOpen", refs)
		c.Send(wstest.Text("900"))
		wstest.Receive(t, "the filling", filled)
		return long.Closed()
	})
	for len(ended) > 0 {
		if err := <-ended; !errors.Is(err, perch.ErrOverloaded) {
			t.Errorf("closed with %v", err)
		}
	}
}

// A message of a room that finds no memory is a gap, and told as one; without OnGap it
// is the end of the connection. Presence is left out.
func TestOutputTotalOfRooms(t *testing.T) {
	for _, gaps := range []bool{true, false} {
		t.Run(fmt.Sprintf("OnGap=%t", gaps), func(t *testing.T) {
			const total = 32 << 20
			refs, ended, told := make(chan perch.Ref, 1), make(enginetest.Closes, 4), make(chan int, 4)
			var members *room.Room
			h := enginetest.Echo()
			h.OnOpen = func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }
			h.OnClose = ended.Note
			if gaps {
				h.OnGap = func(_ perch.Conn, n int) { told <- n }
			}
			srv := enginetest.Start(t, perch.Config{Loops: 1, MaxOutput: 64 << 10, MaxOutputTotal: total, WriteTimeout: -1, PingInterval: -1}, func(srv *perch.Server) {
				members, _ = srv.Rooms().Create("r", room.Options{})
				srv.Handle("/ws", h)
			})
			c := enginetest.Dial(t, srv)
			ref := wstest.Receive(t, "OnOpen", refs)
			enginetest.Inside(t, ref, func(c perch.Conn) error { _, err := c.Join(members, room.JoinOptions{}); return err })
			long := make([]byte, total*7/16) // two do not fit
			enginetest.Dial(t, srv).TCP().SetReadBuffer(16 << 10)
			full := wstest.Receive(t, "OnOpen", refs)
			if err := enginetest.Inside(t, full, func(c perch.Conn) error { return c.Send(perch.Binary, append(long, long[:total/8]...)) }); err != nil {
				t.Fatal(err)
			}
			members.Send(room.Frames{perch.Prepare(perch.Binary, long[:total*3/8])}, room.ClassPresence)
			c.Send(wstest.Text("nothing came before"))
			c.ExpectText("nothing came before")
			members.Send(room.Frames{perch.Prepare(perch.Binary, long[:total*3/8])}, room.ClassMessage)
			if gaps {
				if n := wstest.Receive(t, "OnGap", told); n != 1 {
					t.Errorf("told of %d", n)
				}
				c.Send(wstest.Text("still here"))
				c.ExpectText("still here")
				return
			}
			c.ExpectFail(perch.CloseSlowConsumer)
			if err := wstest.Receive(t, "OnClose", ended); !errors.Is(err, perch.ErrOverloaded) {
				t.Errorf("closed with %v", err)
			}
		})
	}
}
