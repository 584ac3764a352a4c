//go:build linux

package clock

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMonotonic: what Now tells is what the kernel tells any process that asks for
// CLOCK_MONOTONIC.
func TestMonotonic(t *testing.T) {
	a, b := Real(), Real()
	last := int64(0)
	for range 1000 {
		before := kernel(t)
		x, y := a.Now(), b.Now()
		after := kernel(t)
		const most = int64(10 * time.Microsecond) // of what the calibration may be off
		for _, now := range []int64{x, y} {
			if now < before-most || now > after+most {
				t.Fatalf("%d, where the kernel tells %d before and %d after", now, before, after)
			}
		}
		if x < last {
			t.Fatalf("%d after %d: time goes back", x, last)
		}
		last = x
	}
}

func kernel(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

func TestSystemAfterFunc(t *testing.T) {
	c := Real()
	begin, called := c.Now(), make(chan int64, 1)
	c.AfterFunc(time.Millisecond, func() { called <- c.Now() })
	if at := <-called; at < begin+int64(time.Millisecond) {
		t.Errorf("called after %v", time.Duration(at-begin))
	}
	stop := c.AfterFunc(time.Hour, func() { t.Error("called") })
	if !stop() || stop() {
		t.Error("stop has not prevented the call, or twice")
	}
}

// TestManual: alarms run in the order of their moments, those of one moment in the
// order in which they were made, each at its own moment, and those that they make too.
func TestManual(t *testing.T) {
	noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	m := NewManual(noon)
	start := m.Now()
	var order []string
	ring := func(name string, d time.Duration) func() bool {
		return m.AfterFunc(d, func() {
			order = append(order, name+" "+time.Duration(m.Now()-start).String())
			if name == "b" {
				m.AfterFunc(time.Second, func() { order = append(order, "of b "+time.Duration(m.Now()-start).String()) })
			}
		})
	}
	ring("c", 3*time.Second)
	ring("b", time.Second)
	ring("b2", time.Second)
	stop := ring("never", 2*time.Second)
	ring("late", time.Minute)
	ring("now", -time.Second)
	if d, ok := m.Next(); d != 0 || !ok || m.Now() != start {
		t.Errorf("the first is due in %v, %v", d, ok)
	}
	m.Advance(0)
	if d, _ := m.Next(); d != time.Second {
		t.Errorf("the next is due in %v", d)
	}
	if !stop() || stop() {
		t.Error("stop has not prevented the call, or twice")
	}
	m.Advance(10 * time.Second)
	want := []string{"now 0s", "b 1s", "b2 1s", "of b 2s", "c 3s"}
	if !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	if got := m.Wall(); !got.Equal(noon.Add(10*time.Second)) || m.Now() != start+int64(10*time.Second) {
		t.Errorf("it is %v, %v after the start", got, time.Duration(m.Now()-start))
	}
	m.Set(noon)
	if m.Advance(time.Second); !m.Wall().Equal(noon.Add(time.Second)) || m.Now() != start+int64(11*time.Second) {
		t.Errorf("a second after Set it is %v, %v after the start", m.Wall(), time.Duration(m.Now()-start))
	}
	passed, _ := After(m, time.Second)
	select {
	case <-passed:
		t.Error("passed already")
	default:
	}
	m.Advance(time.Second)
	<-passed
}

func BenchmarkNow(b *testing.B) {
	b.Run("System", func(b *testing.B) {
		var c Clock = Real()
		for b.Loop() {
			c.Now()
		}
	})
	b.Run("time.Since", func(b *testing.B) {
		start := time.Now()
		for b.Loop() {
			_ = time.Since(start)
		}
	})
	b.Run("unix.ClockGettime", func(b *testing.B) {
		for b.Loop() {
			monotonic()
		}
	})
}
