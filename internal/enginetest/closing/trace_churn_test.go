//go:build linux

package closing_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// journalSize is how many events a loop keeps: what the documentation of Trace promises.
const journalSize = 8192

// TestTraceLost: what comes first is lost first, and is told to be; a connection without events of late has no story.
func TestTraceLost(t *testing.T) {
	r := newTraced(t, perch.Config{Rate: enginetest.Unlimited, NewConnectionsPerSecond: -1, NewConnectionsPerIP: -1}, nil)
	c, id := r.open(t)
	const each = 5 // events of a connection that its peer closes
	churn := func(events int) {
		for range events/each + 1 {
			other, _ := r.open(t)
			other.CloseHandshake(frame.CloseNormal)
		}
	}
	churn(journalSize - 100*each)
	if all, whole := r.srv.Trace(id); len(all) != 2 || !whole {
		t.Errorf("not overwritten yet: %v, %v", all, whole)
	}
	churn(100 * each)
	if all, whole := r.srv.Trace(id); len(all) != 0 || whole {
		t.Errorf("overwritten: %v, %v", all, whole)
	}
	c.CloseHandshake(frame.CloseNormal)
	wstest.Eventually(t, "the end is told", func() bool {
		all, whole := r.srv.Trace(id)
		checkStory(t, all, whole)
		return !whole && len(all) == 3 && all[0].Event == "close_received" && all[2].Event == "reaped"
	})
}

// TestTraceChurn: 10,000 connections come and go, and use slots again; stories that are read meanwhile, of connections
// that live and of those that are gone, are each of one connection.
func TestTraceChurn(t *testing.T) {
	const clients, rounds = 8, 1250
	var ids [clients]atomic.Value // the last ID of each
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited, NewConnectionsPerSecond: -1, NewConnectionsPerIP: -1}, perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, _ []byte) { c.Send(op, []byte(c.ID().String())) },
	})
	var churning sync.WaitGroup
	var wholes atomic.Int64
	for n := range clients {
		churning.Go(func() {
			for range rounds {
				c := enginetest.Dial(t, srv)
				c.Send(wstest.Text("?"))
				_, name := c.NextMessage()
				id, err := perch.ParseID(string(name))
				if err != nil {
					t.Error(err)
					return
				}
				ids[n].Store(id)
				c.Reset()
				if id, ok := ids[rand.IntN(clients)].Load().(perch.ID); ok {
					all, whole := srv.Trace(id)
					checkStory(t, all, whole)
					if whole {
						wholes.Add(1)
					}
				}
			}
		})
	}
	churning.Wait()
	if wholes.Load() == 0 {
		t.Error("no story was whole")
	}
	enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	for n := range clients {
		id := ids[n].Load().(perch.ID)
		if all, whole := srv.Trace(id); !whole || told(all[0]) != begun || told(all[len(all)-1]) != reaped {
			t.Errorf("the last of client %d: %v, %v", n, all, whole)
		}
	}
}
