package room

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// has reports whether a room still has all of its history.
func (w *world) has(r *Room) bool {
	w.t.Helper()
	_, ok := w.recovered(r, Position{r.Position().Epoch, 0})
	return ok
}

// say publishes so many messages of 1000 bytes, paid for by by.
func (w *world) say(r *Room, by Payer, n int) {
	w.t.Helper()
	for range n {
		if _, err := w.tryPublish(r, Message{Payload: make([]byte, 1000), Payer: by}); err != nil {
			w.t.Fatal(err)
		}
		w.run()
	}
}

// TestGreedyLosesHistory: a payer that fills all histories loses its own history, and nobody else does. It fills its
// own rooms or those of others, few large ones or many small ones.
func TestGreedyLosesHistory(t *testing.T) {
	greedy := Payer{1}
	for _, tt := range []struct {
		name  string
		rooms int
		each  int // messages
		maker Payer
	}{
		{"rooms of its own", 40, 50, greedy},
		{"many rooms of its own", 1000, 2, greedy},
		{"rooms of others", 40, 50, Payer{2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, Config{MaxHistoryTotal: 500_000})
			general := w.create("general", Options{})
			w.say(general, greedy, 10) // general pays for these
			hers := w.create("hers", Options{TTL: time.Hour, Payer: Payer{3}})
			w.say(hers, Payer{3}, 20)
			mixed := w.create("mixed", Options{TTL: time.Hour, Payer: Payer{3}})
			w.say(mixed, Payer{3}, 20)
			w.say(mixed, greedy, 1)
			theirs := w.create("theirs", Options{Payer: Payer{4}}) // without a TTL
			w.say(theirs, Payer{}, 20)
			nobodys := w.create("nobody's", Options{TTL: time.Hour})
			w.say(nobodys, Payer{}, 20)
			for i := range tt.rooms {
				r := w.create(fmt.Sprint("r", i), Options{TTL: time.Hour, Payer: tt.maker})
				w.say(r, greedy, tt.each)
				if n := w.Stats().HistoryBytes; n > 500_000/8*9+2000 {
					t.Fatalf("%d bytes of 500,000", n)
				}
			}
			w.Sweep()
			if n := w.Stats().HistoryBytes; n > 500_000 || n < 400_000 {
				t.Errorf("%d bytes of 500,000 are kept", n)
			}
			if got := w.Shares(); got.Bytes != w.Stats().HistoryBytes || got.Limit != 500_000 || got.Payers != 4 || got.Largest < 100_000 {
				t.Errorf("%+v", got)
			}
			for _, r := range []*Room{general, hers, mixed, theirs, nobodys} {
				if !w.has(r) {
					t.Errorf("%s has lost history", r.ID())
				}
			}
			w.audit()
		})
	}
}

// TestRoomsThatStay: the histories of the program's rooms are trimmed last, the largest first.
func TestRoomsThatStay(t *testing.T) {
	w := newWorld(t, 1, Config{MaxHistoryTotal: 100_000, MaxHistory: 60})
	small, large := w.create("small", Options{}), w.create("large", Options{})
	w.say(small, Payer{}, 20)
	w.say(large, Payer{}, 50)
	passing := w.create("passing", Options{TTL: time.Hour})
	w.say(passing, Payer{1}, 60)
	w.Sweep()
	if !w.has(small) || !w.has(large) || w.has(passing) || w.Stats().HistoryBytes > 100_000 {
		t.Errorf("small %t, large %t, passing %t, %d bytes", w.has(small), w.has(large), w.has(passing), w.Stats().HistoryBytes)
	}
	third := w.create("third", Options{})
	w.say(third, Payer{}, 45)
	w.Sweep()
	if !w.has(small) || w.has(large) || w.Stats().HistoryBytes > 100_000 {
		t.Errorf("small %t, large %t, %d bytes", w.has(small), w.has(large), w.Stats().HistoryBytes)
	}
	w.audit()
}

// TestShrunkHistory: a history that was trimmed still has its latest messages, without a gap.
func TestShrunkHistory(t *testing.T) {
	w := newWorld(t, 1, Config{MaxHistoryTotal: 30_000, MaxRecoveryBytes: -1})
	r := w.create("r", Options{TTL: time.Hour})
	for i := range 200 {
		w.say(r, Payer{byte(i%3 + 1)}, 1)
		if p := r.Before(^uint64(0), 100); len(p.Messages) == 0 || p.First+uint64(len(p.Messages))-1 != r.Position().Offset {
			t.Fatalf("message %d: %d messages from %d on", i, len(p.Messages), p.First)
		}
		w.audit()
	}
}

// TestMakers: one maker of rooms gets half of MaxRooms, and each other maker half of the rest.
func TestMakers(t *testing.T) {
	w := newWorld(t, 1, Config{MaxRooms: 20})
	id := 0
	made := func(by Payer, ttl time.Duration) (n int) {
		for ; n < 100; n++ {
			id++
			_, err := w.Create(fmt.Sprint(id), Options{TTL: ttl, Payer: by})
			if err != nil {
				w.is(err, ErrTooMany, "Create")
				break
			}
		}
		return n
	}
	for i, tt := range []struct {
		by   Payer
		ttl  time.Duration
		want int
	}{{Payer{1}, time.Hour, 10}, {Payer{2}, time.Hour, 5}, {Payer{1}, 0, 0}, {Payer{}, time.Hour, 5}} {
		if got := made(tt.by, tt.ttl); got != tt.want {
			t.Errorf("%d: %d rooms, want %d", i, got, tt.want)
		}
	}
	for _, r := range w.Rooms() {
		w.is(w.Delete(r, ""), nil, "Delete")
	}
	if got := w.makers.Stats(); got.Held != 0 || got.Keys != 0 {
		t.Errorf("no room is left: %+v", got)
	}
	if got := made(Payer{1}, time.Hour); got != 10 {
		t.Errorf("%d rooms, want 10 again", got)
	}
}

// TestHistoriesAudit changes histories at random, and counts everything anew.
func TestHistoriesAudit(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, 1, Config{MaxHistoryTotal: 40_000, MaxHistory: 20, MaxHistoryBytes: 9000})
		ttl := func() time.Duration { return []time.Duration{0, time.Minute}[rnd.IntN(2)] }
		for i := range 500 {
			id := fmt.Sprint("r", rnd.IntN(12))
			r := w.Room(id)
			switch rnd.IntN(12) {
			case 0:
				if r != nil {
					w.is(w.Delete(r, ""), nil, "Delete")
				}
			case 1:
				if r != nil {
					r.Reset(Position{Epoch: fmt.Sprint(i)})
				}
			case 2:
				w.pass(10 * time.Second)
			case 3:
				if r != nil {
					o := r.Options()
					o.TTL = ttl()
					r.Changed(o)
				}
			default:
				if r == nil {
					r = w.create(id, Options{TTL: ttl(), Payer: Payer{byte(rnd.IntN(3))}})
				}
				m := Message{Payload: []byte(strings.Repeat("x", rnd.IntN(3000))), Payer: Payer{byte(rnd.IntN(4))}}
				if _, err := w.tryPublish(r, m); err != nil {
					t.Fatal(err)
				}
				w.run()
			}
			if n := w.Stats().HistoryBytes; n > 40_000/8*9+4000 {
				t.Fatalf("%d bytes", n)
			}
			w.audit()
		}
	}
}
