package room

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A message counts as under way until all loops have walked it, also when no member is left.
func TestQueueIsReleased(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after func(w *world, r *Room, all []*conn) // called with the message in both mailboxes
		taken int
	}{
		{"all take it", func(*world, *Room, []*conn) {}, 4},
		{"all have left", func(w *world, r *Room, all []*conn) {
			for _, c := range all {
				c.leave(r)
			}
		}, 0},
		{"all are gone", func(w *world, r *Room, all []*conn) {
			for _, c := range all {
				c.close()
			}
		}, 0},
		{"the room is deleted", func(w *world, r *Room, _ []*conn) { w.is(w.Delete(r, ""), nil, "Delete") }, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 2, Config{})
			r := w.create("r", Options{})
			var all []*conn
			for i := range 4 {
				c := w.connect(i % 2)
				c.join(r)
				all = append(all, c)
			}
			w.run()
			var taken []int
			r.Publish(Message{Payload: []byte("m"), Taken: func(n int) { taken = append(taken, n) }}, nil)
			if r.Queue() != 1 {
				t.Errorf("%d publishes pending, want the one", r.Queue())
			}
			tt.after(w, r, all)
			w.run()
			if r.Queue() != 0 || !slices.Equal(taken, []int{tt.taken}) {
				t.Errorf("%d publishes pending, taken by %v, want none and by %d", r.Queue(), taken, tt.taken)
			}
			w.audit()
		})
	}
}

// A loop that has ended is not waited for, whether it is one of several or the last.
func TestPublishToEndedLoops(t *testing.T) {
	w := newWorld(t, 2, Config{})
	r := w.create("r", Options{})
	for i := range 4 {
		w.connect(i % 2).join(r)
	}
	w.run()
	for ended, want := range []int{4, 2, 0} {
		if ended > 0 {
			w.loops[ended-1].ended = true
		}
		var taken []int
		if _, err := w.tryPublish(r, Message{Payload: []byte("m"), Taken: func(n int) { taken = append(taken, n) }}); err != nil {
			t.Error(err)
		}
		w.run()
		if r.Queue() != 0 || !slices.Equal(taken, []int{want}) {
			t.Errorf("%d loops ended: %d publishes pending, taken by %v, want by %d", ended, r.Queue(), taken, want)
		}
	}
	r.Send(text("x"), ClassMessage) // other calls work, too
	w.SendAll(text("x"))
	w.connect(0).join(r)
	w.is(w.Delete(r, ""), nil, "Delete")
}

// A message without receivers has its place and its offset, and is kept for later members.
func TestPublishToNobody(t *testing.T) {
	w := newWorld(t, 1, Config{MaxQueue: 1})
	r := w.create("r", Options{})
	for i := range 3 {
		if got := w.publish(r, "m"); got.Offset != uint64(i+1) || got.Members != 0 {
			t.Errorf("receipt %+v", got)
		}
	}
	if n := w.posts(); n != 0 {
		t.Errorf("%d posts", n)
	}
	if j := w.connect(0).joinWith(r, JoinOptions{Recent: 2}); !slices.Equal(payloads(j.Recent), []string{"m#2", "m#3"}) || j.Recovered || j.Missed != nil {
		t.Errorf("joined: %q, missed %q", payloads(j.Recent), payloads(j.Missed))
	}
	w.run()
	w.audit()
}

// Publishers on many goroutines, and members that come and go on loops that run meanwhile: all see one order without
// a gap, and the answer to a join fits the messages delivered after it.
func TestPublishConcurrently(t *testing.T) {
	const loops, publishers, messages = 3, 4, 300
	const total = publishers * messages
	w := newWorld(t, loops, Config{MaxHistory: total, MaxRecovery: total, MaxQueue: -1})
	r := w.create("r", Options{})
	var running, publishing sync.WaitGroup
	stop := make(chan struct{})
	for i, l := range w.loops {
		stay, guest := w.connect(i), w.connect(i)
		stay.join(r)
		running.Go(func() {
			seen := Position{Epoch: r.Position().Epoch} // of the guest
			have := 0
			for turn := 0; ; turn++ {
				over := false
				select {
				case <-stop:
					over = true
				default:
				}
				if guest.in(r) && (turn%5 == 4 || over) {
					guest.leave(r)
					seen.Offset += uint64(len(guest.got) - have)
					have = len(guest.got)
				} else if !guest.in(r) {
					j, err := guest.tryJoin(r, JoinOptions{Since: &seen})
					if err != nil || !j.Recovered {
						t.Errorf("join since %d: recovered %t, %v", seen.Offset, j.Recovered, err)
						return
					}
					guest.got = append(guest.got, payloads(j.Missed)...)
				}
				worked := false
				for range 7 {
					worked = l.step() || worked
				}
				if over && !worked {
					return
				}
			}
		})
	}
	for p := range publishers {
		publishing.Go(func() {
			for i := range messages {
				w.publish(r, fmt.Sprintf("%d.%d", p, i))
			}
		})
	}
	publishing.Wait()
	close(stop)
	running.Wait()
	var order []string
	for _, l := range w.loops {
		stay, guest := l.conns[0], l.conns[1]
		if order == nil {
			order = stay.got
		}
		if !slices.Equal(stay.got, order) || len(order) != total {
			t.Fatalf("loop %d: another order, or %d messages of %d", stay.Loop, len(order), total)
		}
		if !slices.Equal(guest.got, order) {
			t.Errorf("loop %d: the member that came and went has another order, or %d messages", guest.Loop, len(guest.got))
		}
	}
	next := make([]int, publishers)
	for i, m := range order {
		var p, n, offset int
		if _, err := fmt.Sscanf(m, "%d.%d#%d", &p, &n, &offset); err != nil || n != next[p] || offset != i+1 {
			t.Fatalf("message %d is %s", i, m)
		}
		next[p]++
	}
	w.run()
	w.audit()
}
