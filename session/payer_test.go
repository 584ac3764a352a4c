package session_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/session"
)

// TestGreedyLosesItsOwn: a user or address that fills the store, with many small sessions or few large ones, loses
// sessions, and nobody else does.
func TestGreedyLosesItsOwn(t *testing.T) {
	large := []byte(`{"cart":"` + strings.Repeat("x", 60_000) + `"}`)
	address := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name   string
		greedy session.New
		times  int
	}{
		{"user", session.New{UserID: "greedy", Authenticated: true}, 20_000},
		{"user with large data", session.New{UserID: "greedy", Authenticated: true, Data: large}, 200},
		{"address", session.New{Address: address}, 20_000},
		{"address with large data", session.New{Address: address, Data: large}, 200},
		{"address with many names", session.New{Address: address, UserID: "%d", Data: large}, 200},
		{"IPv6 network", session.New{Address: netip.MustParseAddr("2001:db8::1"), Data: large}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clock.NewManual(noon)
			m := session.NewMemory(session.Config{MaxBytes: 4 << 20, Clock: c})
			var others []session.Session
			for i := range 20 {
				others = append(others,
					mustCreate(t, m, session.New{UserID: fmt.Sprint("u", i), Authenticated: true, Data: large}),
					mustCreate(t, m, session.New{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}))
			}
			c.Advance(time.Minute) // all others are older than the sessions that follow
			for i := range tt.times {
				n := tt.greedy
				if n.UserID == "%d" {
					n.UserID = fmt.Sprint(i)
				}
				if n.Address.Is6() {
					b := n.Address.As16()
					b[15] = byte(i)
					n.Address = netip.AddrFrom16(b)
				}
				mustCreate(t, m, n)
			}
			if m.Stats().Evicted == 0 {
				t.Fatal("the store was not filled")
			}
			has(t, m, true, others...)
			mustCreate(t, m, session.New{UserID: "late", Authenticated: true, Data: large, ConnectionID: "c"})
		})
	}
}

// TestHeldShare: connections of one user cannot hold more than half of the store, since held sessions are never
// dropped. The rest of the store is there for other users.
func TestHeldShare(t *testing.T) {
	m := session.NewMemory(session.Config{MaxBytes: 4 << 20})
	data := []byte(`{"a":"` + strings.Repeat("x", 60_000) + `"}`)
	refused := false
	for i := range 100 {
		_, err := m.Create(t.Context(), session.New{
			ConnectionID: fmt.Sprint("c", i), UserID: "greedy", Authenticated: true, Data: data,
		})
		if refused = errors.Is(err, session.ErrFull); refused {
			break
		}
	}
	if got := m.Stats(); !refused || got.Bytes > 2<<20 || got.Bytes < 3<<19 {
		t.Errorf("refused: %v, and %+v", refused, got)
	}
	for i := range 15 {
		mustCreate(t, m, session.New{ConnectionID: "c", UserID: fmt.Sprint("u", i), Authenticated: true, Data: data})
	}
}
