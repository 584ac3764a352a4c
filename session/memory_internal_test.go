package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/perchws/perch/internal/clock"
)

// verify checks the rules that hold between calls. No other goroutine may use the store meanwhile.
func (m *Memory) verify() error {
	var bytes, detachedBytes int64
	attached, withUser := 0, 0
	for selector, r := range m.sessions {
		bytes += r.cost()
		if r.attached {
			attached++
		} else {
			detachedBytes += r.cost()
		}
		if r.user() != "" {
			withUser++
		}
		if r.key.selector() != selector || r.attached && r.connection() == "" || r.attached && r.links != [2]link{} {
			return fmt.Errorf("record %+v under %x", *r, selector)
		}
	}
	if bytes != m.bytes() || detachedBytes != m.idle.Held() || attached != m.attached {
		return fmt.Errorf("counted %d bytes, %d detached, %d attached; are %d, %d, %d",
			m.bytes(), m.idle.Held(), m.attached, bytes, detachedBytes, attached)
	}
	listed := 0
	for i := range m.detached {
		l := &m.detached[i]
		var last *record
		for r := l.head; r != nil; last, r = r, r.links[ofKind].next {
			listed++
			if r.links[ofKind].prev != last || r.kind != kind(i) || r.attached || m.sessions[r.key.selector()] != r ||
				last != nil && last.accessed > r.accessed {
				return fmt.Errorf("list %d: record %+v after %+v", i, *r, last)
			}
		}
		if l.tail != last {
			return fmt.Errorf("list %d ends with %+v, its tail is %+v", i, last, l.tail)
		}
	}
	if listed != len(m.sessions)-attached {
		return fmt.Errorf("%d listed of %d detached", listed, len(m.sessions)-attached)
	}
	if err := m.verifyPayers(); err != nil {
		return err
	}
	chained := 0
	for h, first := range m.users {
		var last *record
		for r := first; r != nil; last, r = r, r.nextPeer {
			chained++
			if r.prevPeer != last || m.hash(r.user()) != h || m.sessions[r.key.selector()] != r {
				return fmt.Errorf("chain %x: record %+v after %+v", h, *r, last)
			}
		}
	}
	if chained != withUser {
		return fmt.Errorf("%d chained of %d with a user", chained, withUser)
	}
	return nil
}

// verifyPayers is the part of verify about payers.
func (m *Memory) verifyPayers() error {
	type sums struct {
		held, idle int64
		listed     int
	}
	want := make(map[*payer]sums)
	for _, r := range m.sessions {
		if r.payer == nil {
			continue
		}
		s := want[r.payer]
		if r.attached {
			s.held += r.cost()
		} else {
			s.idle += r.cost()
			s.listed++
		}
		want[r.payer] = s
	}
	if len(want) != len(m.payers) {
		return fmt.Errorf("%d payers, %d have sessions", len(m.payers), len(want))
	}
	for key, p := range m.payers {
		got := sums{held: p.held, idle: p.idle.Held()}
		var last *record
		for r := p.detached.head; r != nil; last, r = r, r.links[ofPayer].next {
			got.listed++
			if r.payer != p || r.attached || r.links[ofPayer].prev != last || last != nil && last.accessed > r.accessed {
				return fmt.Errorf("payer %x: record %+v after %+v", key, *r, last)
			}
		}
		if got != want[p] || p.key != key || p.detached.tail != last {
			return fmt.Errorf("payer %x has %+v, want %+v", key, got, want[p])
		}
	}
	return nil
}

// TestRecordSize: 144 is a size class of the allocator, the next is 160.
func TestRecordSize(t *testing.T) {
	if got := unsafe.Sizeof(record{}); got > 144 {
		t.Errorf("a record has %d bytes", got)
	}
	if MaxConnectionID > 255 {
		t.Error("an id may be longer than record.split can tell")
	}
}

// TestSelectorCollision: two ids that begin with the same bytes are still two sessions.
func TestSelectorCollision(t *testing.T) {
	m := NewMemory(Config{})
	keys := []Key{{0: 1, 23: 1}, {0: 1, 23: 2}, {0: 2, 23: 3}}
	m.fill = func(p []byte) {
		copy(p, keys[0][:])
		keys = keys[1:]
	}
	for want := byte(1); want <= 2; want++ {
		s, err := m.Create(t.Context(), New{})
		if err != nil || s.ID[0] != want {
			t.Fatalf("created %x, %v", s.ID, err)
		}
	}
	if err := m.verify(); err != nil || len(m.sessions) != 2 {
		t.Errorf("%d sessions, %v", len(m.sessions), err)
	}
}

// TestUpdateOverNewerData: data that is written between reading and writing is kept.
func TestUpdateOverNewerData(t *testing.T) {
	m := NewMemory(Config{})
	s, err := m.Create(t.Context(), New{Data: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, found, err := m.swapData(s.ID, `{"a":0}`, `{"b":1}`)
	if err != nil || found != `{"a":1}` {
		t.Errorf("a swap of other data found %s, %v", found, err)
	}
	if got, err := m.Get(t.Context(), s.ID); err != nil || got.Data != `{"a":1}` {
		t.Errorf("and left %s, %v", got.Data, err)
	}
}

// TestMemoryMany does everything at once, from several goroutines, in a store
// that is too small for it, while time goes by.
func TestMemoryMany(t *testing.T) {
	manual := clock.NewManual(time.Now())
	var advance sync.Mutex // one goroutine at a time
	m := NewMemory(Config{MaxBytes: 30_000, Clock: manual})
	var known [64]atomic.Pointer[Key] // keys that one goroutine made and others use
	var done sync.WaitGroup
	for g := range 8 {
		done.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 2000 {
				advance.Lock()
				manual.Advance(time.Duration(rnd.IntN(int(time.Second))))
				advance.Unlock()
				if err := meddle(t, m, rnd, &known, fmt.Sprintf("c%d.%d", g, i)); err != nil &&
					!errors.Is(err, ErrNotFound) && !errors.Is(err, ErrReplaced) && !errors.Is(err, ErrFull) {
					t.Errorf("goroutine %d, step %d: %v", g, i, err)
				}
				if got := m.Stats(); got.Bytes > m.maxBytes || got.Attached > got.Sessions {
					t.Errorf("stats %+v", got)
				}
			}
		})
	}
	done.Wait()
	if err := m.verify(); err != nil {
		t.Fatal(err)
	}
	got := m.Stats()
	t.Logf("%+v", got)
	if got.Evicted == 0 {
		t.Errorf("stats %+v: the limit was not reached", got)
	}
	for _, user := range []string{"u0", "u1", "u2", "u3"} {
		if _, err := m.EndOthers(t.Context(), user, Key{}); err != nil {
			t.Error(err)
		}
	}
	if got := m.Stats(); got.Sessions != 0 || got.Bytes != 0 || got.Attached != 0 || len(m.users) != 0 {
		t.Errorf("left behind: %+v, %d users", got, len(m.users))
	}
}

func meddle(t *testing.T, m *Memory, rnd *rand.Rand, known *[64]atomic.Pointer[Key], connection string) error {
	ctx := t.Context()
	at := &known[rnd.IntN(len(known))]
	id := at.Load()
	op := rnd.IntN(12)
	if id == nil || op < 2 {
		s, err := m.Create(ctx, New{ConnectionID: connection, UserID: fmt.Sprint("u", rnd.IntN(4)), Authenticated: rnd.IntN(2) == 0})
		if err == nil {
			at.Store(&s.ID)
		}
		return err
	}
	switch op {
	case 2, 3:
		_, _, err := m.Attach(ctx, Claim{Key: *id, ConnectionID: connection})
		return err
	case 4, 5, 6:
		s, err := m.Get(ctx, *id)
		if err != nil {
			return err
		}
		return m.Detach(ctx, *id, s.ConnectionID)
	case 7:
		_, err := m.Update(ctx, *id, fmt.Appendf(nil, `{"k%d":"%0*d"}`, rnd.IntN(4), rnd.IntN(200), 1))
		return err
	case 8:
		k, err := m.Token(ctx, *id)
		if err != nil {
			return err
		}
		_, _, err = m.Attach(ctx, Claim{Key: k, ConnectionID: connection})
		return err
	case 9:
		return m.Keep(ctx, *id, connection, binary.BigEndian.AppendUint64(nil, rnd.Uint64()))
	case 10:
		if rnd.IntN(20) == 0 {
			_, err := m.EndOthers(ctx, fmt.Sprint("u", rnd.IntN(4)), *id)
			return err
		}
		_, err := m.Delete(ctx, *id)
		return err
	default:
		m.Sweep()
		return nil
	}
}
