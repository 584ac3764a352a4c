package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/session"
)

// small returns a store with room for exactly n sessions without user and data.
func small(t *testing.T, n int) (*session.Memory, *clock.Manual) {
	t.Helper()
	one := session.NewMemory(session.Config{})
	mustCreate(t, one, session.New{})
	c := clock.NewManual(noon)
	return session.NewMemory(session.Config{MaxBytes: int64(n) * one.Stats().Bytes, Clock: c}), c
}

func mustCreate(t *testing.T, m *session.Memory, n session.New) session.Session {
	t.Helper()
	s, err := m.Create(t.Context(), n)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return s
}

// has demands which sessions are there. It touches them.
func has(t *testing.T, m *session.Memory, want bool, sessions ...session.Session) {
	t.Helper()
	for i, s := range sessions {
		if _, err := m.Get(t.Context(), s.ID); (err == nil) != want {
			t.Errorf("session %d is there: %t, want %t", i, err == nil, want)
		}
	}
}

func TestEvictsOldestDetached(t *testing.T) {
	m, c := small(t, 4)
	held := mustCreate(t, m, session.New{ConnectionID: "c"})
	c.Advance(time.Second)
	known := mustCreate(t, m, session.New{Authenticated: true})
	c.Advance(time.Second)
	old := mustCreate(t, m, session.New{})
	c.Advance(time.Second)
	young := mustCreate(t, m, session.New{})
	c.Advance(time.Second)
	has(t, m, true, known) // touched: now the youngest
	c.Advance(time.Second)

	next := mustCreate(t, m, session.New{ConnectionID: "c2"})
	has(t, m, false, old)
	c.Advance(time.Second)
	last := mustCreate(t, m, session.New{ConnectionID: "c3"})
	has(t, m, false, young)
	has(t, m, true, held, known, next, last)
	if got, want := m.Stats(), (session.Stats{Sessions: 4, Attached: 3, Bytes: m.Stats().Bytes, Evicted: 2}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

func TestFullOfAttached(t *testing.T) {
	m, _ := small(t, 3)
	var held []session.Session
	for i := range 3 {
		held = append(held, mustCreate(t, m, session.New{ConnectionID: fmt.Sprint("c", i)}))
	}
	before := m.Stats()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, session.ErrFull) {
			t.Errorf("%s: %v, want ErrFull", what, err)
		}
		if got := m.Stats(); got != before {
			t.Errorf("%s: stats %+v, were %+v", what, got, before)
		}
	}
	ctx := t.Context()
	_, err := m.Create(ctx, session.New{})
	refused("Create", err)
	_, err = m.Update(ctx, held[0].ID, []byte(`{"a":1}`))
	refused("Update", err)
	refused("Keep", m.Keep(ctx, held[0].ID, "c0", []byte("s")))
	_, err = m.Token(ctx, held[0].ID)
	refused("Token", err)

	// Taking over always succeeds, even with the longest name.
	long := strings.Repeat("c", session.MaxConnectionID)
	if _, _, err := m.Attach(ctx, session.Claim{Key: held[0].ID, ConnectionID: long}); err != nil {
		t.Errorf("Attach: %v", err)
	}
	if err := m.Detach(ctx, held[0].ID, long); err != nil {
		t.Fatal(err)
	}
	// A session does not have to make room for its own growth.
	before = m.Stats()
	_, err = m.Update(ctx, held[0].ID, []byte(`{"a":1}`))
	refused("Update of the only detached one", err)
	mustCreate(t, m, session.New{})
	has(t, m, false, held[0])
	has(t, m, true, held[1:]...)
}

// TestFullToTheByte: with one byte less the last session finds no room.
func TestFullToTheByte(t *testing.T) {
	one := session.NewMemory(session.Config{})
	mustCreate(t, one, session.New{})
	for _, spare := range []int64{-1, 0} {
		m := session.NewMemory(session.Config{MaxBytes: 2*one.Stats().Bytes + spare})
		mustCreate(t, m, session.New{ConnectionID: "c1"})
		_, err := m.Create(t.Context(), session.New{ConnectionID: "c2"})
		if got := errors.Is(err, session.ErrFull); got != (spare < 0) {
			t.Errorf("with %d bytes over: %v", spare, err)
		}
	}
}

// TestFullDropsNothingInVain: if dropping all would not be enough, nothing is dropped.
func TestFullDropsNothingInVain(t *testing.T) {
	m, _ := small(t, 3)
	held := mustCreate(t, m, session.New{ConnectionID: "c"})
	idle := mustCreate(t, m, session.New{})
	big := []byte(`{"a":"` + strings.Repeat("x", 4000) + `"}`)
	if _, err := m.Update(t.Context(), held.ID, big); !errors.Is(err, session.ErrFull) {
		t.Errorf("Update: %v, want ErrFull", err)
	}
	if _, err := m.Create(t.Context(), session.New{Data: big}); !errors.Is(err, session.ErrFull) {
		t.Errorf("Create: %v, want ErrFull", err)
	}
	has(t, m, true, held, idle)
}

// TestGrowthEvictsOthers: when data grows other sessions are dropped, oldest first.
func TestGrowthEvictsOthers(t *testing.T) {
	m, c := small(t, 10)
	var all []session.Session
	for range 10 {
		all = append(all, mustCreate(t, m, session.New{}))
		c.Advance(time.Second)
	}
	// The first session is the oldest, but it asks: the second and some after it must go.
	s, err := m.Update(t.Context(), all[0].ID, []byte(`{"a":"`+strings.Repeat("x", 600)+`"}`))
	if err != nil || len(s.Data) < 600 {
		t.Fatalf("Update: %d bytes, %v", len(s.Data), err)
	}
	gone := int(m.Stats().Evicted)
	if gone < 2 || gone > 5 {
		t.Fatalf("%d evicted", gone)
	}
	has(t, m, true, all[0])
	has(t, m, false, all[1:1+gone]...)
	has(t, m, true, all[1+gone:]...)
}

// TestEvictsExpiredFirst: an anonymous session that has expired goes before an older one that has not.
func TestEvictsExpiredFirst(t *testing.T) {
	m, c := small(t, 2)
	known := mustCreate(t, m, session.New{Authenticated: true})
	c.Advance(time.Second)
	mustCreate(t, m, session.New{})
	c.Advance(session.DefaultAnonymousTTL)
	mustCreate(t, m, session.New{ConnectionID: "c"})
	if got := m.Stats(); got.Evicted != 0 || got.Expired != 1 || got.Sessions != 2 {
		t.Errorf("stats %+v, want one expired, none evicted, two there", got)
	}
	has(t, m, true, known)
}

func TestNoLimits(t *testing.T) {
	c := clock.NewManual(noon)
	m := session.NewMemory(session.Config{TTL: -1, AnonymousTTL: -1, MaxBytes: -1, Clock: c})
	known := mustCreate(t, m, session.New{Authenticated: true})
	unknown := mustCreate(t, m, session.New{})
	c.Advance(20 * 365 * 24 * time.Hour)
	if n := m.Sweep(); n != 0 {
		t.Errorf("%d expired", n)
	}
	has(t, m, true, known, unknown)
}

// TestLifetimeToTheMillisecond looks at both sides of the two limits.
func TestLifetimeToTheMillisecond(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    session.New
		ttl  time.Duration
	}{
		{"authenticated", session.New{Authenticated: true}, 24 * time.Hour},
		{"anonymous", session.New{}, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clock.NewManual(noon)
			m := session.NewMemory(session.Config{Clock: c})
			s := mustCreate(t, m, tt.n)
			c.Advance(tt.ttl - time.Millisecond)
			if n := m.Sweep(); n != 0 {
				t.Errorf("swept %d too early", n)
			}
			has(t, m, true, s) // touched
			c.Advance(tt.ttl - time.Millisecond)
			has(t, m, true, s)
			c.Advance(tt.ttl)
			has(t, m, false, s)
		})
	}
}

// TestShortLifetime: a lifetime of less than a millisecond is one millisecond, not none.
func TestShortLifetime(t *testing.T) {
	c := clock.NewManual(noon)
	m := session.NewMemory(session.Config{AnonymousTTL: time.Nanosecond, Clock: c})
	s := mustCreate(t, m, session.New{})
	has(t, m, true, s)
	c.Advance(time.Millisecond)
	has(t, m, false, s)
}

func TestSweep(t *testing.T) {
	c := clock.NewManual(noon)
	m := session.NewMemory(session.Config{Clock: c})
	const n = 1000 // several batches
	var all []session.Session
	for i := range n {
		s := mustCreate(t, m, session.New{ConnectionID: fmt.Sprint("c", i), UserID: fmt.Sprint("u", i%7), Authenticated: i%2 == 0, Data: []byte(`{"a":1}`)})
		all = append(all, s)
		if i%10 != 0 { // every tenth stays
			if err := m.Detach(t.Context(), s.ID, s.ConnectionID); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep := func(want int) {
		t.Helper()
		before := m.Stats()
		if got := m.Sweep(); got != want {
			t.Errorf("Sweep dropped %d, want %d", got, want)
		}
		after := m.Stats()
		if after.Sessions != before.Sessions-want || after.Expired != before.Expired+uint64(want) || after.Evicted != 0 {
			t.Errorf("stats %+v, were %+v", after, before)
		}
	}
	sweep(0)
	c.Advance(session.DefaultAnonymousTTL)
	sweep(n / 2)
	c.Advance(session.DefaultTTL)
	sweep(n/2 - n/10)
	sweep(0)
	for i, s := range all {
		has(t, m, i%10 == 0, s)
		if i%10 == 0 {
			if err := m.End(context.Background(), s.ID, s.ConnectionID); err != nil {
				t.Error(err)
			}
		}
	}
	if got := m.Stats(); got.Sessions != 0 || got.Attached != 0 || got.Bytes != 0 {
		t.Errorf("left behind: %+v", got)
	}
}

// TestClockIsSet: when the time of day jumps, sessions live as long as before, and the times shown go on as before.
func TestClockIsSet(t *testing.T) {
	c := clock.NewManual(noon)
	m := session.NewMemory(session.Config{Clock: c})
	first := mustCreate(t, m, session.New{})
	c.Set(noon.Add(-24 * time.Hour))
	second := mustCreate(t, m, session.New{})
	if !second.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("created at %v, after one at %v", second.CreatedAt, first.CreatedAt)
	}
	c.Set(noon.Add(24 * time.Hour))
	if n := m.Sweep(); n != 0 {
		t.Errorf("swept %d, want none", n)
	}
	c.Advance(session.DefaultAnonymousTTL)
	if n := m.Sweep(); n != 2 {
		t.Errorf("swept %d, want 2", n)
	}
}

// TestSeededKeys: all random bytes of a key come from Config.Entropy.
func TestSeededKeys(t *testing.T) {
	keys := func(seed uint64) (keys [3]session.Key) {
		m := session.NewMemory(session.Config{Entropy: entropy.NewSeeded(seed)})
		for i := range 2 {
			keys[i] = mustCreate(t, m, session.New{}).ID
		}
		var err error
		if keys[2], err = m.Token(t.Context(), keys[0]); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	a, b := keys(7), keys(8)
	if a != keys(7) {
		t.Error("the same seed gives different keys")
	}
	for i := range a {
		if a[i] == b[i] {
			t.Error("two seeds give the same key")
		}
	}
}
