package room

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

// outcomes notes how publishes were settled.
type outcomes struct {
	t    *testing.T
	mu   sync.Mutex
	told []string
}

func (o *outcomes) publish(r *Room, text string) {
	r.Publish(Message{Payload: []byte(text)}, func(at Receipt, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		what := fmt.Sprintf("%s %d", text, at.Offset)
		for name, e := range map[string]error{"timeout": ErrTimeout, "broken": errBroken, "full": ErrQueueFull, "closed": ErrClosed, "gone": ErrNotFound} {
			if errors.Is(err, e) {
				what = text + " " + name
			}
		}
		o.told = append(o.told, what)
	})
}

func (o *outcomes) expect(want ...string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.told, want) {
		o.t.Errorf("settled %q, want %q", o.told, want)
	}
	o.told = nil
}

// slowRoom is an open room with one member, with a broker whose answers wait for the test.
func slowRoom(t *testing.T, c Config) (*world, *slowBroker, *Room, *conn, *outcomes) {
	t.Helper()
	w, b := slowWorld(t, 1, c)
	r := w.opening("r")
	b.all()
	w.run()
	member := w.connect(0)
	member.join(r)
	w.run()
	return w, b, r, member, &outcomes{t: t}
}

// For every fate of a publish its publisher is told once, and the bytes that it has reserved are given back.
func TestPublishFates(t *testing.T) {
	for name, tt := range map[string]struct {
		fate      fate
		told, got []string // at once
		later     []string // told at the deadline
	}{
		"answer": {answer, []string{"x 1"}, []string{"x#1"}, nil},
		"twice":  {twice, []string{"x 1"}, []string{"x#1"}, nil},
		"early":  {early, []string{"x 1"}, []string{"x#1"}, nil},
		"broken": {broken, []string{"x broken"}, nil, nil},
		"never":  {never, nil, nil, []string{"x timeout"}},
		"silent": {silent, nil, []string{"x#1"}, []string{"x 1"}}, // delivery shows that it has its place
	} {
		t.Run(name, func(t *testing.T) {
			w, b, r, c, o := slowRoom(t, Config{})
			budget := new(countedBudget)
			w.budget = budget
			o.publish(r, "x")
			o.expect()
			b.step("r", tt.fate)
			w.run()
			o.expect(tt.told...)
			c.expect(tt.got...)
			w.pass(10*time.Second - 1)
			o.expect()
			w.pass(1)
			o.expect(tt.later...)
			o.publish(r, "y")
			b.all()
			w.run()
			o.expect(fmt.Sprint("y ", len(tt.got)+1))
			if n := budget.n; n != 0 {
				t.Errorf("%d bytes are still reserved", n)
			}
			w.empty()
		})
	}
}

type countedBudget struct{ n int64 }

func (b *countedBudget) Reserve(n int64) bool { b.n += n; return true }
func (b *countedBudget) Release(n int64)      { b.n -= n }

// A publisher was told that the fate of its message is unknown. If the broker places the message later, it is
// delivered like any other, but not to connections in Except.
func TestPlacedAfterTimeout(t *testing.T) {
	w, b, r, c, o := slowRoom(t, Config{})
	not := w.connect(0)
	not.join(r)
	w.run()
	var told []error
	r.Publish(Message{Payload: []byte("x"), Except: []Member{not.Member}}, func(_ Receipt, err error) { told = append(told, err) })
	w.pass(10 * time.Second)
	if len(told) != 1 || !errors.Is(told[0], ErrTimeout) || r.Queue() != 0 {
		t.Errorf("told %v, %d under way", told, r.Queue())
	}
	b.all()
	o.publish(r, "y")
	b.all()
	w.run()
	c.expect("x#1", "y#2")
	not.expect("y#2")
	o.expect("y 2")
	if len(told) != 1 {
		t.Errorf("told %v", told)
	}
	w.empty()
}

// Publishes that the broker does not answer reach their bound; further ones are refused at once, and other rooms are
// served. The deadlines of those under way pass in their order.
func TestPublishBound(t *testing.T) {
	w, b, r, _, o := slowRoom(t, Config{MaxQueue: 3})
	for i := range 5 {
		o.publish(r, fmt.Sprint("m", i))
		w.now = w.now.Add(time.Second)
	}
	o.expect("m3 full", "m4 full")
	other := w.opening("other")
	b.step("other", answer)
	o.publish(other, "elsewhere")
	b.step("other", answer)
	o.expect("elsewhere 1")
	w.pass(5 * time.Second)
	o.expect("m0 timeout")
	w.pass(2 * time.Second)
	o.expect("m1 timeout", "m2 timeout")
	o.publish(r, "again")
	b.all()
	w.run()
	o.expect("again 4") // the earlier ones have their places now
	w.empty()
}

// When a room is deleted while publishes are under way all of them are settled, even if the broker never answers.
func TestDeletedInFlight(t *testing.T) {
	w, b, r, c, o := slowRoom(t, Config{})
	for i := range 4 {
		o.publish(r, fmt.Sprint("m", i))
	}
	b.step("r", answer)
	w.is(w.Delete(r, ""), nil, "Delete")
	b.step("r", answer) // it has a place, but there is no member
	b.step("r", never)
	w.run()
	o.expect("m0 1", "m1 gone")
	c.expect("m0#1")
	w.pass(10 * time.Second)
	o.expect("m2 timeout", "m3 timeout")
	b.all()
	w.empty()
}

// The end of the hub settles publishes under way.
func TestClosedInFlight(t *testing.T) {
	w, _, r, _, o := slowRoom(t, Config{BrokerTimeout: -1})
	o.publish(r, "x")
	w.pass(time.Hour)
	o.expect()
	w.running = false // the hub had not swept: the test did
	w.Close()
	o.expect("x closed")
	w.empty()
}

// Loops, publishers, the broker and the clock run at once: every publish is settled once, members see one order, in
// which the messages of each publisher keep their order, and nothing is left.
func TestLateAtOnce(t *testing.T) {
	const publishers, messages, rooms = 4, 200, 3
	b := newSlowBroker()
	w := newWorld(t, 2, Config{Broker: b, MaxQueue: -1, MaxHistory: -1})
	var all []*Room
	members := make([][]*conn, 2)
	for i := range rooms {
		id := fmt.Sprint("r", i)
		for loop := range 2 {
			c := w.connect(loop)
			members[loop] = append(members[loop], c)
			c.opens(id, &Options{}, nil)
			c.l.shards.JoinLater(c.Slot, c.Gen, w.Room(id), JoinOptions{}, func(_ Joined, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		all = append(all, w.Room(id))
	}
	over := make(chan struct{})
	var helpers, publishing sync.WaitGroup
	until := func(f func() bool) {
		helpers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					f()
				}
			}
		})
	}
	for _, l := range w.loops {
		until(l.step)
	}
	until(func() bool { b.all(); return true })
	until(func() bool { w.overdue(w.cfg.Clock.Now(), nil); return true })
	var mu sync.Mutex
	settled := make(map[string]int)
	var owed sync.WaitGroup
	owed.Add(rooms * publishers * messages)
	for _, r := range all {
		for p := range publishers {
			publishing.Go(func() {
				for i := range messages {
					m := fmt.Sprintf("%d %04d", p, i)
					r.Publish(Message{Payload: []byte(m)}, func(_ Receipt, err error) {
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							t.Error(err)
						}
						if settled[r.ID()+" "+m]++; settled[r.ID()+" "+m] == 1 {
							owed.Done()
						}
					})
				}
			})
		}
	}
	publishing.Wait()
	owed.Wait()
	close(over)
	helpers.Wait()
	b.all()
	w.run()
	for m, n := range settled {
		if n != 1 {
			t.Errorf("%s is settled %d times", m, n)
		}
	}
	for i, r := range all {
		want := payloads(r.history.recent(math.MaxInt, math.MaxInt))
		latest := make(map[byte]string)
		for _, m := range want {
			if m[:len("0 0000")] <= latest[m[0]] {
				t.Errorf("%s came after %s", m, latest[m[0]])
			}
			latest[m[0]] = m[:len("0 0000")]
		}
		if len(want) != publishers*messages {
			t.Errorf("room %d has %d messages, want %d", i, len(want), publishers*messages)
		}
		for loop := range 2 { // each member from its join on
			if got := members[loop][i].got; !slices.Equal(got, want[len(want)-len(got):]) {
				t.Errorf("a member of room %d got another order", i)
			}
		}
	}
	w.empty()
}
