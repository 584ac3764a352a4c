package room

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/perchws/perch/frame"
)

// deaf is a loop that only keeps its posts.
type deaf struct{ posts []*Delivery }

func (l *deaf) Post(d *Delivery) error {
	l.posts = append(l.posts, d)
	return nil
}

// Do implements Loop.
func (l *deaf) Do(Member, func()) error { return nil }

// Close implements Loop.
func (l *deaf) Close(Member, frame.CloseCode, string) error { return nil }

// Name implements Loop.
func (l *deaf) Name(Member) string { return "" }

func benchHub(b testing.TB, c Config) (*Hub, *Shards, *deaf) {
	b.Helper()
	h, l := New(c), new(deaf)
	h.running = true
	h.Attach([]Loop{l}, nil)
	return h, NewShards(h, 0), l
}

func (l *deaf) change(s *Shards) {
	for _, d := range l.posts {
		s.Change(d)
	}
	clear(l.posts)
	l.posts = l.posts[:0]
}

// loopBytes returns how many bytes a loop keeps for a connection in so many rooms.
func loopBytes(tb testing.TB, conns, rooms int) float64 {
	tb.Helper()
	h, s, l := benchHub(tb, Config{})
	all := make([]*Room, rooms)
	for i := range all {
		all[i], _ = h.Create(fmt.Sprint("r", i), Options{})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for slot := range uint32(conns) {
		for _, r := range all {
			if _, err := s.Join(slot, 1, r, JoinOptions{}); err != nil {
				tb.Fatal(err)
			}
		}
		l.change(s)
	}
	l.posts = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(conns)
}

// BenchmarkMemory reports how many bytes a loop keeps for a connection, and for each membership.
func BenchmarkMemory(b *testing.B) {
	for _, rooms := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("%d-rooms", rooms), func(b *testing.B) {
			for b.Loop() {
				bytes := loopBytes(b, 20_000, rooms)
				b.ReportMetric(bytes, "B/conn")
				b.ReportMetric(bytes/float64(rooms), "B/membership")
			}
		})
	}
}

// BenchmarkJoinLeave joins and leaves a room with many members.
func BenchmarkJoinLeave(b *testing.B) {
	for _, members := range []int{100, 100_000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			h, s, l := benchHub(b, Config{})
			r, _ := h.Create("a", Options{})
			for slot := range uint32(members) {
				s.Join(slot, 1, r, JoinOptions{})
			}
			l.change(s)
			slot := uint32(members / 2)
			b.ReportAllocs()
			for b.Loop() {
				s.Leave(slot, r)
				s.Join(slot, 1, r, JoinOptions{})
				l.change(s)
			}
		})
	}
}

// BenchmarkWalk measures finding a receiver.
func BenchmarkWalk(b *testing.B) {
	h, s, l := benchHub(b, Config{})
	r, _ := h.Create("a", Options{})
	const members = 5000
	for slot := range uint32(members) {
		s.Join(slot, 1, r, JoinOptions{})
	}
	l.change(s)
	r.Publish(Message{Payload: []byte("x")}, nil)
	d := l.posts[0]
	n := 0
	for b.Loop() {
		for at := s.Cursor(d); at.Next(); {
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/member")
}

// BenchmarkPublishToNobody measures how a message gets into the order and the history of a room without members.
func BenchmarkPublishToNobody(b *testing.B) {
	h, _, _ := benchHub(b, Config{})
	r, _ := h.Create("a", Options{})
	m := Message{Payload: make([]byte, 128)}
	b.ReportAllocs()
	for b.Loop() {
		r.Publish(m, nil)
	}
}
