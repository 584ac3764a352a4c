//go:build linux

package callbacks_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// A callback that calls runtime.Goexit in the midst of a delivery to a room does not
// keep it from the others: they get every message, and the room's queue is empty.
func TestGoexitWithinDelivery(t *testing.T) {
	const members, messages, size = 9, 40, 1 << 20
	var exits atomic.Int64
	var lobby *room.Room
	srv := enginetest.Start(t, perch.Config{Loops: 1, MaxOutput: 64 << 10, MaxOutputTotal: -1, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		lobby, _ = srv.Rooms().Create("lobby", room.Options{})
		join := func(c perch.Conn, _ *perch.Request) { c.Join(lobby, room.JoinOptions{}) }
		srv.Handle("/faulty", perch.Handler{OnOpen: join, OnDrain: func(perch.Conn) { exits.Add(1); runtime.Goexit() }})
		srv.Handle("/ws", perch.Handler{OnOpen: join})
		srv.Handle("/echo", enginetest.Echo())
	})
	var faulty, good []*wstest.Conn
	for i := range members {
		if i%3 == 1 {
			faulty = append(faulty, dial2(t, srv, "/faulty"))
		} else {
			good = append(good, dial2(t, srv, "/ws"))
		}
	}
	// A message of a whole megabyte is taken by nobody at once: it is over half of
	// MaxOutput, and OnDrain is called as soon as it has left.
	received := make(chan error, members)
	for i, c := range append(good, faulty...) {
		go func() {
			for n := range messages {
				f, err := c.Next()
				if i >= len(good) && (err != nil || len(f.Payload) != size) {
					break // a faulty one is closed
				}
				if err != nil || len(f.Payload) != size || f.Payload[0] != byte(n) {
					received <- fmt.Errorf("message %d: %d bytes, %v", n, len(f.Payload), err)
					return
				}
			}
			received <- nil
		}()
	}
	for n := range messages {
		p := make([]byte, size)
		p[0] = byte(n)
		lobby.Publish(room.Message{Op: perch.Binary, Payload: p}, nil)
		wstest.Eventually(t, "the message is walked", func() bool { return lobby.Queue() == 0 })
		enginetest.AwaitStats(t, srv, "the output is taken", func(s *perch.Stats) bool { return s.QueuedBytes == 0 })
	}
	for range members {
		if err := wstest.Receive(t, "a member", received); err != nil {
			t.Error(err)
		}
	}
	if exits.Load() == 0 {
		t.Error("no callback has called runtime.Goexit")
	}
	c := dial2(t, srv, "/echo")
	c.Send(wstest.Text("still here"))
	c.ExpectText("still here")
}

// OnClose of everybody is called, and every place is free again, also where each of
// them calls runtime.Goexit: when peers leave, at Shutdown and at Close, and of
// connections that were ended in one tick.
func TestGoexitInEveryOnClose(t *testing.T) {
	const clients = 60
	for name, end := range map[string]func(srv *perch.Server, all []*wstest.Conn){
		"peers leave": func(_ *perch.Server, all []*wstest.Conn) {
			for _, c := range all {
				c.Close()
			}
		},
		"Close": func(srv *perch.Server, _ []*wstest.Conn) { srv.Close() },
		"all in one tick": func(_ *perch.Server, all []*wstest.Conn) {
			all[0].Send(wstest.Text("close all"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var closed atomic.Int64
			refs := make(chan perch.Ref, clients)
			srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxConnections: clients + 8}, perch.Handler{
				OnOpen: func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() },
				OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
					for range clients {
						r := <-refs
						r.Close(perch.CloseNormal, "")
					}
				},
				OnClose: func(perch.Conn, *perch.CloseError) { closed.Add(1); runtime.Goexit() },
			})
			var all []*wstest.Conn
			for range clients {
				all = append(all, enginetest.Dial(t, srv))
			}
			end(srv, all)
			for _, c := range all {
				c.Close()
			}
			wstest.Eventually(t, "OnClose of everybody", func() bool { return closed.Load() == clients })
			enginetest.AwaitStats(t, srv, "every place is free", func(s *perch.Stats) bool { return s.Connections == 0 })
		})
	}
}

// However often callbacks call runtime.Goexit: the loop goes on, and keeps nothing of
// them on its stack, unless its thread has the descriptors.
func TestGoexitManyTimes(t *testing.T) {
	t.Run("shared table", func(t *testing.T) { goexitManyTimes(t, false) })
	t.Run("private tables", func(t *testing.T) {
		enginetest.NeedPrivateTables(t)
		goexitManyTimes(t, true)
	})
}

func goexitManyTimes(t *testing.T, private bool) {
	const times = 300
	depth := make(chan int, times+1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, PrivateFDs: private}, perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
		var pcs [4096]uintptr
		depth <- runtime.Callers(0, pcs[:])
		if string(p) == "exit" {
			runtime.Goexit()
		}
		c.SendText("here")
	}})
	var first, last int
	for i := range times {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("exit"))
		c.ExpectFail(perch.CloseInternalError)
		c.Close()
		if last = wstest.Receive(t, "the depth of the stack", depth); i == 0 {
			first = last
		}
	}
	if last > first != private {
		t.Errorf("the stack has grown from %d to %d frames", first, last)
	}
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("stay"))
	c.ExpectText("here")
	if n := srv.Stats().Panics; n != times {
		t.Errorf("%d counted, want %d", n, times)
	}
}
