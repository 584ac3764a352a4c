package storetest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/session"
)

// Fault is how a Faulty answers a call.
type Fault uint8

// The faults. A call is carried out when it is begun, unless its fault says otherwise.
const (
	AtOnce    Fault = iota // no fault: the answer comes before Do returns
	Late                   // the answer comes when the test releases it, see Faulty.Next
	Twice                  // the answer comes twice, before Do returns
	Never                  // the answer never comes
	Lost                   // the call is not carried out, and the answer never comes
	Refused                // the call is not carried out: ErrUnavailable
	Uncertain              // the call is carried out, but answered with ErrUnavailable
)

// Faulty is a store with faults that a test chooses: it answers late, in another order, twice, never, or with errors.
// Any goroutine may use it. Except for the number of answers it keeps the contract of session.Async.
type Faulty struct {
	store session.Store
	came  chan struct{} // holds one: there is a held call

	order sync.Mutex // calls are carried out in the order in which they are begun

	mu     sync.Mutex // held for a short time only
	decide func(session.Call) Fault
	held   []*Held
	begun  []session.Op
}

// NewFaulty makes a Faulty that keeps its sessions in store. decide is called for each call, one after the other;
// nil: AtOnce.
func NewFaulty(store session.Store, decide func(session.Call) Fault) *Faulty {
	f := &Faulty{store: store, came: make(chan struct{}, 1)}
	f.Decide(decide)
	return f
}

// Decide changes how calls are answered from now on.
func (f *Faulty) Decide(decide func(session.Call) Fault) {
	if decide == nil {
		decide = func(session.Call) Fault { return AtOnce }
	}
	f.mu.Lock()
	f.decide = decide
	f.mu.Unlock()
}

// All is a decision: the same fault for every call.
func All(fault Fault) func(session.Call) Fault { return func(session.Call) Fault { return fault } }

// Only is a decision: a fault for these operations, none for others.
func Only(fault Fault, ops ...session.Op) func(session.Call) Fault {
	return func(c session.Call) Fault {
		if slices.Contains(ops, c.Op) {
			return fault
		}
		return AtOnce
	}
}

// Do implements session.Async.
func (f *Faulty) Do(c session.Call, done func(session.Answer)) {
	fault, a := f.carry(c)
	switch fault {
	case Never, Lost:
	case Late:
		f.hold(&Held{Call: c, Answer: a, done: done})
	case Twice:
		done(a)
		done(a)
	default:
		done(a)
	}
}

// carry decides on a call, and carries it out.
func (f *Faulty) carry(c session.Call) (Fault, session.Answer) {
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	decide := f.decide
	f.begun = append(f.begun, c.Op)
	f.mu.Unlock()
	fault := decide(c)
	if fault == Lost || fault == Refused {
		return fault, session.Answer{Err: session.ErrUnavailable}
	}
	a := session.Carry(context.Background(), f.store, c)
	if fault == Uncertain {
		a = session.Answer{Err: session.ErrUnavailable}
	}
	return fault, a
}

// Begun returns the operations that have been begun, in order.
func (f *Faulty) Begun() []session.Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.begun)
}

// Held is a call that has been carried out, and whose answer waits.
type Held struct {
	Call   session.Call
	Answer session.Answer
	done   func(session.Answer)
}

// Release gives the answer, each time that it is called.
func (h *Held) Release() { h.done(h.Answer) }

func (f *Faulty) hold(h *Held) {
	f.mu.Lock()
	f.held = append(f.held, h)
	f.mu.Unlock()
	f.wake()
}

func (f *Faulty) wake() {
	select {
	case f.came <- struct{}{}:
	default:
	}
}

// Next returns the call that has been held for the longest; if there is none it waits for one.
func (f *Faulty) Next(t testing.TB) *Held {
	t.Helper()
	for {
		if h := f.take(0); h != nil {
			return h
		}
		select {
		case <-f.came:
		case <-time.After(15 * time.Second):
			t.Fatal("storetest: no call is held")
		}
	}
}

// take removes a held call and returns it; nil: there is none.
func (f *Faulty) take(random int) *Held {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.held)
	if n == 0 {
		return nil
	}
	i := random % n
	h := f.held[i]
	f.held = slices.Delete(f.held, i, i+1)
	if n > 1 {
		f.wake()
	}
	return h
}

// Scramble answers held calls on a goroutine of its own until stop is called: in an order that depends on seed and
// chance, every third answer twice.
func (f *Faulty) Scramble(seed uint64) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		random := rand.New(rand.NewPCG(seed, seed))
		for {
			select {
			case <-f.came:
			case <-over:
				return
			}
			if h := f.take(random.IntN(1 << 20)); h != nil {
				h.Release()
				if random.IntN(3) == 0 {
					h.Release()
				}
			}
		}
	}()
	return func() { close(over); <-ended }
}
