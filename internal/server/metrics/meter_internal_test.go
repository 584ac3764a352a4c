package metrics

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/server/protocol"
)

// TestMeterVocabulary: every type and code of the protocol has its own series, under its own name.
func TestMeterVocabulary(t *testing.T) {
	m := newMeter()
	for _, e := range protocol.Endpoints() {
		for _, typ := range e.Accepts {
			m.message(e.Path, typ, 1, 0)
			if n := m.messages[key{e.Path, typ}]; n == nil || n.bytes.Load() != 1 {
				t.Errorf("%s %s is not counted", e.Path, typ)
			}
		}
		for _, c := range protocol.Codes() {
			m.fault(e.Path, string(c.Code))
			if n := m.faults[key{e.Path, string(c.Code)}]; n == nil || n.Load() != 1 {
				t.Errorf("%s %s is not counted", e.Path, c.Code)
			}
		}
		if m.messages[key{e.Path, other}].bytes.Load() != 0 || m.faults[key{e.Path, other}].Load() != 0 {
			t.Errorf("%s: other counts known names", e.Path)
		}
	}
}

// TestMeterTook: the shortest and longest times that can be measured.
func TestMeterTook(t *testing.T) {
	for _, tt := range []struct {
		took   time.Duration
		bucket int
		sum    time.Duration
	}{
		{0, 0, 0}, {-5, 0, 0}, {1, 1, 1}, {1023, 10, 1023}, {1024, 11, 1024}, {time.Hour, 39, time.Hour}, {1 << 62, 39, 1 << 62},
	} {
		m := newMeter()
		m.message("/ws/chat", protocol.TypeTyping, 0, tt.took)
		h := m.messages[key{"/ws/chat", protocol.TypeTyping}].histogram()
		if h.Count != 1 || h.Sum != tt.sum || h.Buckets[tt.bucket] != 1 {
			t.Errorf("%v: %+v", tt.took, h)
		}
	}
}

// TestMeterConcurrent: loops report at once, and a scrape reads meanwhile; nothing is lost, and every histogram is
// consistent.
func TestMeterConcurrent(t *testing.T) {
	const loops, each = 4, 5000
	m := newMeter()
	h := m.messages[key{"/ws/chat", protocol.TypeChatMessage}]
	var wg sync.WaitGroup
	for range loops {
		wg.Go(func() {
			for i := range each {
				m.message("/ws/chat", protocol.TypeChatMessage, 10, time.Duration(i))
				m.fault("/ws/chat", string(protocol.CodeBusy))
			}
		})
	}
	for last := uint64(0); last < loops*each/2; {
		s := h.histogram()
		if s.Count < last {
			t.Fatalf("the count went from %d to %d", last, s.Count)
		}
		last = s.Count
	}
	wg.Wait()
	s := h.histogram()
	if want := time.Duration(loops * each * (each - 1) / 2); s.Count != loops*each || s.Sum != want || h.bytes.Load() != 10*loops*each {
		t.Errorf("%d messages, %v, %d bytes", s.Count, s.Sum, h.bytes.Load())
	}
	if n := m.faults[key{"/ws/chat", string(protocol.CodeBusy)}].Load(); n != loops*each {
		t.Errorf("%d errors", n)
	}
}

func TestMeterAllocates(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	m := New()
	foreign := strings.Repeat("x", 100)
	for name, f := range map[string]func(){
		"known":            func() { m.Message("/ws/chat", protocol.TypeChatMessage, 100, time.Microsecond) },
		"unknown type":     func() { m.Message("/ws/chat", foreign, 100, time.Microsecond) },
		"unknown endpoint": func() { m.Message(foreign, foreign, 100, time.Microsecond) },
		"error":            func() { m.Error("/ws/chat", string(protocol.CodeInvalidJSON)) },
		"unknown error":    func() { m.Error(foreign, foreign) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	m := New()
	for _, typ := range []string{protocol.TypeChatMessage, "nobody_knows"} {
		b.Run(typ, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Message("/ws/chat", typ, 128, 3*time.Microsecond)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.Message("/ws/chat", protocol.TypeChatMessage, 128, 3*time.Microsecond)
			}
		})
	})
}

func BenchmarkScrape(b *testing.B) {
	m := New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
