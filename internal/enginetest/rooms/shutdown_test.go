//go:build linux

package rooms_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// Rooms are published to, joined, deleted and made while the server ends: nobody
// hangs, every publisher is told once, nothing stays under way and nobody stays
// in.
func TestPublishWhileServerEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, srv *perch.Server){
		"Close":    func(_ *testing.T, srv *perch.Server) { srv.Close() },
		"Shutdown": func(t *testing.T, srv *perch.Server) { enginetest.ExpectShutdown(t, srv, enginetest.Shutdown(t, srv)) },
	} {
		t.Run(name, func(t *testing.T) {
			const members, publishers = 24, 4
			var r *room.Room
			var offline atomic.Int64
			srv := enginetest.Start(t, perch.Config{
				Loops: 4, MaxOutput: 64 << 20, Rate: enginetest.Unlimited,
				Rooms: room.Config{Offline: func(*room.User) { offline.Add(1) }},
			}, func(srv *perch.Server) {
				r = makeRoom(t, srv, "a", room.Options{})
				srv.Handle("/ws", perch.Handler{
					OnOpen: func(c perch.Conn, req *perch.Request) {
						c.SignIn(room.Identity{ID: req.Query("user")})
						c.Join(r, room.JoinOptions{})
					},
					OnClose: func(perch.Conn, *perch.CloseError) { // as many do: to say who has left
						r.Publish(room.Message{Payload: []byte("gone")}, nil)
						r.Send(room.Text([]byte("gone")), room.ClassPresence)
					},
				})
			})
			hub := srv.Rooms()
			var readers sync.WaitGroup
			for i := range members {
				c := wstest.Dial(t, srv.Addr().String(), "/ws?user="+strconv.Itoa(i/2))
				readers.Go(func() {
					for {
						f, err := c.Next()
						if err != nil {
							c.Close()
							return
						}
						if code, _ := f.CloseInfo(); f.Op == 8 {
							c.TrySend(wstest.Close(code, ""))
						}
					}
				})
			}
			var asked, told, accepted, taken atomic.Int64
			var stop atomic.Bool
			var publishing sync.WaitGroup
			for p := range publishers {
				publishing.Go(func() {
					for n := 0; !stop.Load(); n++ {
						asked.Add(1)
						r.Publish(room.Message{Payload: []byte("news"), Taken: func(int) { taken.Add(1) }}, func(_ room.Receipt, err error) {
							told.Add(1)
							switch {
							case err == nil:
								accepted.Add(1)
							case !errors.Is(err, room.ErrQueueFull):
								t.Errorf("publish: %v", err)
							}
						})
						hub.SendAll(room.Text([]byte("all")))
						hub.SendUser(strconv.Itoa(n%members), room.Text([]byte("you")))
						if id := "own " + strconv.Itoa(p); n%8 == 0 {
							if own, err := hub.Create(id, room.Options{}); err == nil {
								own.Publish(room.Message{Payload: []byte("alone")}, nil)
								hub.Delete(own, "")
							} else if !errors.Is(err, room.ErrClosed) {
								t.Errorf("create: %v", err)
							}
						}
					}
				})
			}
			wstest.Eventually(t, "many are published", func() bool { return accepted.Load() > 2000 })
			end(t, srv)
			srv.Wait() // Close has not waited for a loop that took a second for a turn
			after := asked.Load()
			wstest.Eventually(t, "some are published after the end", func() bool { return asked.Load() > after+100 })
			stop.Store(true)
			publishing.Wait()
			readers.Wait()
			if told.Load() != asked.Load() || taken.Load() != accepted.Load() {
				t.Errorf("%d publishes: %d told, %d accepted, %d of them carried out", asked.Load(), told.Load(), accepted.Load(), taken.Load())
			}
			if r.Queue() != 0 || r.Count() != 0 || r.Connections() != 0 {
				t.Errorf("%d under way, %d members, %d connections", r.Queue(), r.Count(), r.Connections())
			}
			if s := hub.Stats(); s.Users != 0 || s.Active != 0 || offline.Load() != members/2 {
				t.Errorf("%d users, %d active rooms, offline %d times", s.Users, s.Active, offline.Load())
			}
			if _, err := hub.Create("too late", room.Options{}); !errors.Is(err, room.ErrClosed) {
				t.Errorf("create after the end: %v", err)
			}
		})
	}
}

// A member whose blocking handler outlives Close holds up no publish, and is out
// of its rooms when the handler has returned.
func TestPublishPastBlockedHandler(t *testing.T) {
	var r *room.Room
	entered, release := make(chan perch.Ref), make(chan bool)
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		r = makeRoom(t, srv, "a", room.Options{})
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnMessage: func(c perch.Ref, _ perch.Opcode, _ []byte) { entered <- c; <-release },
		})
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("block"))
	ref := wstest.Receive(t, "OnMessage", entered)
	signIn(t, ref, "ada")
	join(t, ref, r)
	srv.Close()
	taken := make(chan int, 1)
	r.Publish(room.Message{Payload: []byte("news"), Taken: func(n int) { taken <- n }}, func(rec room.Receipt, err error) {
		if rec.Offset != 1 || err != nil {
			t.Errorf("receipt %+v, %v", rec, err)
		}
	})
	if n := wstest.Receive(t, "the count", taken); n != 0 || r.Queue() != 0 {
		t.Errorf("%d have taken it, %d under way", n, r.Queue())
	}
	close(release)
	srv.Wait()
	if r.Count() != 0 || srv.Rooms().Stats().Users != 0 {
		t.Errorf("%d members, %d users", r.Count(), srv.Rooms().Stats().Users)
	}
}

// A server that is never started, and one whose Start fails, leave no goroutine
// for their rooms.
func TestRoomsWithoutServer(t *testing.T) {
	wstest.NoLeaks(t)
	makeRoom(t, perch.New(perch.Config{}), "a", room.Options{})
	ln := wstest.Listen(t)
	srv := perch.New(perch.Config{Addr: ln.Addr().String()})
	r := makeRoom(t, srv, "a", room.Options{})
	if err := srv.Start(); err == nil {
		t.Fatal("started on an address in use")
	}
	publish(t, r, "for nobody")
	if r.Queue() != 0 || r.Position().Offset != 1 {
		t.Errorf("%d under way, at %v", r.Queue(), r.Position())
	}
}
