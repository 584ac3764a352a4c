package session

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// A model is a store of limited memory, as simple as can be: one list, searched from end to end. It shares with
// Memory only the reckoned size of a session.
type model struct {
	gone func(Key) bool // reports whether the store has dropped a session; where several may go, the store chooses
	max  int64
	now  time.Duration
	turn int // orders touches of the same moment
	list []*modelSession
}

type modelSession struct {
	id, token  Key // token zero: none
	connection string
	user       string
	auth       bool
	address    string
	active     bool
	data       map[string]string // values as JSON
	state      string
	created    time.Duration
	accessed   time.Duration
	turn       int
}

func (m *modelSession) text() Data {
	if len(m.data) == 0 {
		return ""
	}
	var members []string
	for _, k := range slices.Sorted(maps.Keys(m.data)) {
		members = append(members, fmt.Sprintf("%q:%s", k, m.data[k]))
	}
	return Data("{" + strings.Join(members, ",") + "}")
}

func (m *modelSession) cost() int64 {
	r := newRecord(m.connection, m.user)
	r.state, r.extra = m.state, extra{data: m.text(), hasToken: m.token != Key{}}.orNil()
	return r.cost()
}

func (m *modelSession) clone() *modelSession {
	c := *m
	c.data = maps.Clone(m.data)
	return &c
}

// live removes expired sessions and returns the session with this ID, or nil.
func (m *model) live(id Key) *modelSession {
	m.list = slices.DeleteFunc(m.list, func(s *modelSession) bool {
		ttl := DefaultAnonymousTTL
		if s.auth {
			ttl = DefaultTTL
		}
		return !s.active && m.now-s.accessed >= ttl
	})
	if i := slices.IndexFunc(m.list, func(s *modelSession) bool { return s.id == id }); i >= 0 {
		return m.list[i]
	}
	return nil
}

func (m *model) touch(s *modelSession) {
	m.turn++
	s.accessed, s.turn = m.now, m.turn
}

func (m *model) remove(s *modelSession) {
	m.list = slices.DeleteFunc(m.list, func(o *modelSession) bool { return o == s })
}

// payer returns the payer of a session, "" if there is none.
func (m *modelSession) payer() string {
	switch {
	case m.auth:
		return "user " + m.user
	case m.address != "":
		return "address " + m.address
	}
	return ""
}

// replace puts next in the place of s (nil: adds it) if there is room, or room can be made.
func (m *model) replace(s, next *modelSession) error {
	m.live(Key{})
	need := next.cost()
	if s != nil {
		need -= s.cost()
	}
	var total, kept, active, own int64
	var idle []*modelSession // sessions that may be dropped
	share := make(map[string]int64)
	for _, o := range m.list {
		total += o.cost()
		switch {
		case o.active:
			active += o.cost()
			if o.payer() == next.payer() {
				own += o.cost()
			}
		case o.payer() != "":
			share[o.payer()] += o.cost()
		}
		if o.active || o == s {
			kept += o.cost()
		} else {
			idle = append(idle, o)
		}
	}
	if need > 0 && (kept+need > m.max || next.active && next.payer() != "" && own+need > m.max-active-need) {
		return ErrFull
	}
	slices.SortFunc(idle, func(a, b *modelSession) int {
		auth := map[bool]int{true: 1}
		return cmp.Or(cmp.Compare(a.accessed, b.accessed), cmp.Compare(auth[a.auth], auth[b.auth]), cmp.Compare(a.turn, b.turn))
	})
	gave, ok := m.giveUp(idle, share, total+max(need, 0))
	if !ok {
		return errors.New("the store has given up others than those that were to go")
	}
	for _, o := range gave {
		m.remove(o)
	}
	if s == nil {
		m.list = append(m.list, next)
	} else {
		*s = *next
	}
	return nil
}

// giveUp chooses sessions of idle to drop until total is within the bound. It looks for an order that the rule allows
// and that drops exactly the sessions that the store has dropped; false: there is none.
func (m *model) giveUp(idle []*modelSession, share map[string]int64, total int64) (gave []*modelSession, ok bool) {
	if total <= m.max {
		return nil, !slices.ContainsFunc(idle, func(o *modelSession) bool { return m.gone(o.id) })
	}
	for _, o := range mayGo(idle, share) {
		if !m.gone(o.id) {
			continue
		}
		left := maps.Clone(share)
		left[o.payer()] -= o.cost()
		others := slices.DeleteFunc(slices.Clone(idle), func(other *modelSession) bool { return other == o })
		if more, ok := m.giveUp(others, left, total-o.cost()); ok {
			return append(more, o), true
		}
	}
	return nil, false
}

// mayGo returns the idle sessions any of which may be dropped next: the first one, unless another payer has more than
// twice as much as its payer, and then the first one of that payer. Any payer with half as much as the largest counts
// as the largest.
func mayGo(idle []*modelSession, share map[string]int64) (may []*modelSession) {
	oldest := idle[0]
	if oldest.payer() == "" {
		return idle[:1]
	}
	for payer, has := range share {
		if has == 0 || 2*has < slices.Max(slices.Collect(maps.Values(share))) {
			continue
		}
		i := 0
		if has > 2*share[oldest.payer()] {
			i = max(0, slices.IndexFunc(idle, func(o *modelSession) bool { return o.payer() == payer }))
		}
		may = append(may, idle[i])
	}
	return may
}

// run is one history of random operations, on a Memory and on the model.
type run struct {
	*testing.T
	*rand.Rand
	store *Memory
	clock *clock.Manual
	start time.Time
	model *model
	keys  []Key // ids and tokens, of sessions that live and of others
	conns int
	full  int // how often store and model both said ErrFull
}

func TestMemoryModel(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, rand.Uint64()}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			manual := clock.NewManual(time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC))
			m := &model{max: 8_000} // some twenty sessions
			store := NewMemory(Config{MaxBytes: m.max, Clock: manual})
			m.gone = func(id Key) bool { return store.sessions[id.selector()] == nil }
			hash := store.hash
			store.hash = func(user string) uint64 { return hash(user) % 3 } // users share hash chains
			r := &run{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), store: store, clock: manual, start: manual.Wall(), model: m}
			for i := range 2000 {
				r.step(i)
				r.compare(i)
			}
			// A run without evictions, expiries and ErrFull proves too little.
			if got := store.Stats(); got.Evicted == 0 || got.Expired == 0 || r.full == 0 {
				t.Errorf("stats %+v, %d times full", got, r.full)
			}
		})
	}
}

func (r *run) key() Key {
	if len(r.keys) == 0 || r.IntN(50) == 0 {
		return NewKey()
	}
	if r.IntN(2) == 0 { // rather one that lives
		if n := len(r.model.list); n > 0 {
			return r.model.list[r.IntN(n)].id
		}
	}
	return r.keys[len(r.keys)-1-r.IntN(min(len(r.keys), 60))]
}

func (r *run) user() string { return []string{"", "ada", "bob", "cyd", "dee"}[r.IntN(5)] }

// holder returns a connection that may hold the session: mostly its real holder.
func (r *run) holder(s *modelSession) string {
	if s != nil && r.IntN(4) > 0 {
		return s.connection
	}
	return fmt.Sprint("c", r.IntN(r.conns+1))
}

func (r *run) patch() map[string]string {
	p := make(map[string]string)
	for range r.IntN(3) {
		p[string(rune('a'+r.IntN(5)))] = []string{"null", "1", `"` + strings.Repeat("x", r.IntN(400)) + `"`, `[null,{}]`}[r.IntN(4)]
	}
	return p
}

func (r *run) fail(i int, what string, got, want any) {
	r.Helper()
	r.Fatalf("step %d, %s: %+v, want %+v", i, what, got, want)
}

func (r *run) errs(i int, what string, got, want error) {
	r.Helper()
	if got != want {
		r.fail(i, what, got, want)
	}
	if got == ErrFull {
		r.full++
	}
}

func (r *run) same(i int, what string, got Session, want *modelSession) {
	r.Helper()
	start := r.start
	w := Session{
		ID: want.id, ConnectionID: want.connection, UserID: want.user, Authenticated: want.auth, Active: want.active,
		Data: want.text(), State: want.state, CreatedAt: start.Add(want.created).UTC(), LastAccessed: start.Add(want.accessed).UTC(),
	}
	if got != w {
		r.fail(i, what, got, w)
	}
}

// mergeSimply is Merge for the model.
func mergeSimply(old, patch map[string]string) map[string]string {
	merged := maps.Clone(old)
	maps.Copy(merged, patch)
	maps.DeleteFunc(merged, func(_, v string) bool { return v == "null" })
	return merged
}

func encode(patch map[string]string) []byte {
	raw := make(map[string]json.RawMessage)
	for k, v := range patch {
		raw[k] = json.RawMessage(v)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		panic(err)
	}
	return b
}

// compare compares every session, without touching it.
func (r *run) compare(i int) {
	r.Helper()
	r.model.live(Key{})
	alive := 0
	for _, rec := range r.store.sessions {
		if !r.store.isExpired(rec) {
			alive++
		}
	}
	if alive != len(r.model.list) {
		r.fail(i, "sessions alive", alive, len(r.model.list))
	}
	for _, want := range r.model.list {
		rec := r.store.sessions[want.id.selector()]
		if rec == nil {
			r.fail(i, "lost", nil, *want)
		}
		r.same(i, "state", r.store.snapshot(rec), want)
	}
	if r.store.bytes() > r.model.max {
		r.fail(i, "bytes", r.store.bytes(), r.model.max)
	}
	if err := r.store.verify(); err != nil {
		r.fail(i, "inside", err, nil)
	}
}
