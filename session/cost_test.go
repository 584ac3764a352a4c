//go:build !race

// The race detector makes these tests slow, and its figures mean nothing.

package session_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/perchws/perch/session"
)

// heap returns the live heap after a collection. The second collection frees memory that the first one left to
// finalizers and pools.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// fill makes n sessions and returns the store and the live heap it takes.
func fill(tb testing.TB, n int, make func(i int) session.New, then func(m *session.Memory, s session.Session)) (*session.Memory, int64) {
	tb.Helper()
	before := heap()
	m := session.NewMemory(session.Config{MaxBytes: -1})
	for i := range n {
		s, err := m.Create(context.Background(), make(i))
		if err != nil {
			tb.Fatal(err)
		}
		if then != nil {
			then(m, s)
		}
	}
	after := heap()
	runtime.KeepAlive(m)
	return m, after - before
}

// TestBytesPerSession: when a hundred thousand users wait in a chat, sessions must be a small part of their memory.
func TestBytesPerSession(t *testing.T) {
	const n, limit = 100_000, 360
	_, took := fill(t, n, member, nil)
	t.Logf("%d bytes of live heap per session", took/n)
	if took/n > limit {
		t.Errorf("%d bytes per session, want at most %d", took/n, limit)
	}
}

// TestMemoryReckoning: a store never takes more than it reckons, or its limit would not hold, and not less than half
// of it, or memory would be wasted.
func TestMemoryReckoning(t *testing.T) {
	data := func(size int) []byte {
		return []byte(`{"d":"` + strings.Repeat("x", size-8) + `"}`)
	}
	for _, tt := range []struct {
		name string
		n    int
		make func(i int) session.New
		then func(m *session.Memory, s session.Session)
	}{
		{"a member", 100_000, member, nil},
		{"just over a growth of the maps", 58_000, member, nil},
		{"one user", 10_000, func(i int) session.New { n := member(i); n.UserID = "ada"; return n }, nil},
		{"long names", 10_000, func(i int) session.New {
			return session.New{
				ConnectionID: fmt.Sprintf("%0*d", session.MaxConnectionID, i),
				UserID:       fmt.Sprintf("%0*d", session.MaxUserID, i),
			}
		}, nil},
		{"33 bytes of data", 10_000, func(i int) session.New { n := member(i); n.Data = data(33); return n }, nil},
		{"129 bytes of data", 10_000, func(i int) session.New { n := member(i); n.Data = data(129); return n }, nil},
		{"4097 bytes of data", 1_000, func(i int) session.New { n := member(i); n.Data = data(4097); return n }, nil},
		{"32769 bytes of data", 100, func(i int) session.New { n := member(i); n.Data = data(32<<10 + 1); return n }, nil},
		{"the most of data", 100, func(i int) session.New { n := member(i); n.Data = data(session.MaxData); return n }, nil},
		{"state", 10_000, func(i int) session.New { n := member(i); n.State = make([]byte, 100); return n }, nil},
		{"a token", 10_000, member, func(m *session.Memory, s session.Session) {
			if _, err := m.Token(context.Background(), s.ID); err != nil {
				t.Fatal(err)
			}
		}},
		{"updated often", 10_000, member, func(m *session.Memory, s session.Session) {
			for i := range 3 {
				if _, err := m.Update(context.Background(), s.ID, []byte(fmt.Sprintf(`{"k%d":"%0100d"}`, i, i))); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"taken over", 10_000, member, func(m *session.Memory, s session.Session) {
			if _, _, err := m.Attach(context.Background(), session.Claim{Key: s.ID, ConnectionID: s.ConnectionID[:35] + "x"}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, took := fill(t, tt.n, tt.make, tt.then)
			said := m.Stats().Bytes
			t.Logf("%d bytes per session, reckoned at %d", took/int64(tt.n), said/int64(tt.n))
			if took > said || 2*took < said {
				t.Errorf("%d bytes taken, %d reckoned", took, said)
			}
		})
	}
}

// TestGetAllocatesNothing: Get may be called for every message.
func TestGetAllocatesNothing(t *testing.T) {
	m := session.NewMemory(session.Config{})
	ctx := context.Background()
	for _, n := range []session.New{member(1), {Data: []byte(`{"a":1}`)}} {
		s := mustCreate(t, m, n)
		if got := testing.AllocsPerRun(100, func() {
			if _, err := m.Get(ctx, s.ID); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("Get allocates %v times", got)
		}
	}
}

// BenchmarkBytesPerSession reports the live heap of 100,000 members.
func BenchmarkBytesPerSession(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		m, took := fill(b, n, member, nil)
		b.ReportMetric(float64(took)/n, "B/session")
		b.ReportMetric(float64(m.Stats().Bytes)/n, "reckoned/session")
	}
}
