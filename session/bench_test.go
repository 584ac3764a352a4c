package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch/session"
)

// member is a session as the server makes them: connection ids of 36 digits,
// a user id of 16 characters, no data.
func member(i int) session.New {
	return session.New{ConnectionID: fmt.Sprintf("%036x", i), UserID: fmt.Sprintf("user-%011d", i), Authenticated: true}
}

// BenchmarkGet has all processors at one store.
func BenchmarkGet(b *testing.B) {
	m := session.NewMemory(session.Config{})
	ids := make([]session.Key, 100_000)
	for i := range ids {
		s, err := m.Create(context.Background(), member(i))
		if err != nil {
			b.Fatal(err)
		}
		ids[i] = s.ID
	}
	var next atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := next.Add(7919); pb.Next(); i += 7919 {
			if _, err := m.Get(context.Background(), ids[i%uint64(len(ids))]); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkConnect measures a connection: a session that is made, broken, resumed and ended.
func BenchmarkConnect(b *testing.B) {
	m := session.NewMemory(session.Config{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		s, err := m.Create(ctx, session.New{ConnectionID: "c1", UserID: "ada"})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Detach(ctx, s.ID, "c1"); err != nil {
			b.Fatal(err)
		}
		if _, _, err := m.Attach(ctx, session.Claim{Key: s.ID, ConnectionID: "c2"}); err != nil {
			b.Fatal(err)
		}
		if err := m.End(ctx, s.ID, "c2"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate measures updates, which a loop may make itself: of one member in data of so many bytes, and the
// most expensive one.
func BenchmarkUpdate(b *testing.B) {
	data := func(size int) []byte { return []byte(`{"d":"` + strings.Repeat("x", size) + `"}`) }
	small := func(i int) []byte { return fmt.Appendf(nil, `{"n":%d}`, i) }
	members := []byte("{")
	for i := range 7_000 {
		members = fmt.Appendf(members, `"%x":1,`, i)
	}
	members = append(members, `"n":0}`...)
	for _, bb := range []struct {
		name  string
		data  []byte
		patch func(i int) []byte
	}{
		{"100", data(100), small},
		{"4096", data(4 << 10), small},
		{"61440", data(60 << 10), small},
		{"7000members", members, func(int) []byte { return members }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m := session.NewMemory(session.Config{})
			s, err := m.Create(context.Background(), session.New{Data: bb.data})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := m.Update(context.Background(), s.ID, bb.patch(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
