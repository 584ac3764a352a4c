//go:build linux

package poller_test

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/poller"
)

func TestMain(m *testing.M) { wstest.Main(m) }

func open(t testing.TB) *poller.Poller {
	t.Helper()
	p, err := poller.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func atOnce() time.Duration { return 0 }

// look returns the events that are ready now.
func look(t testing.TB, p *poller.Poller) []poller.Event {
	t.Helper()
	events := make([]poller.Event, 8)
	n, err := p.Wait(events, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	return events[:n]
}

func TestInterests(t *testing.T) {
	p := open(t)
	a, b := pair(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Add(a, poller.Token{Slot: 3, Generation: 9}, poller.In))
	if ev := look(t, p); len(ev) != 0 {
		t.Fatalf("%d events of a silent socket", len(ev))
	}
	unix.Write(b, []byte("x"))
	for range 2 { // level-triggered
		ev := look(t, p)
		if len(ev) != 1 || !ev[0].Readable() || ev[0].Writable() || ev[0].Broken() || ev[0].Token() != (poller.Token{Slot: 3, Generation: 9}) {
			t.Fatalf("events %+v", ev)
		}
	}
	must(p.Mod(a, poller.Token{Slot: 3, Generation: 10}, poller.Out))
	if ev := look(t, p); len(ev) != 1 || ev[0].Readable() || !ev[0].Writable() || ev[0].Token().Generation != 10 {
		t.Fatalf("events %+v", ev)
	}
	must(p.Mod(a, poller.Token{Slot: 3}, 0))
	if ev := look(t, p); len(ev) != 0 {
		t.Fatalf("events %+v without interest", ev)
	}
	unix.Shutdown(b, unix.SHUT_RDWR)
	if ev := look(t, p); len(ev) != 1 || !ev[0].Broken() {
		t.Fatalf("events %+v after a hang-up, which cannot be masked", ev)
	}
	must(p.Del(a))
	if ev := look(t, p); len(ev) != 0 {
		t.Fatalf("events %+v after Del", ev)
	}
	if p.Del(a) == nil || p.Mod(a, poller.Token{}, poller.In) == nil || p.Add(1<<30, poller.Token{}, poller.In) == nil {
		t.Error("an error of the kernel is lost")
	}
}

func TestTokens(t *testing.T) {
	p := open(t)
	for _, want := range []poller.Token{{}, {Slot: math.MaxInt32, Generation: math.MaxUint32}, {Slot: 1 << 20, Generation: 1 << 31}} {
		a, _ := pair(t)
		if err := p.Add(a, want, poller.Out); err != nil {
			t.Fatal(err)
		}
		if ev := look(t, p); len(ev) != 1 || ev[0].Token() != want {
			t.Errorf("%v comes back in %+v", want, ev)
		}
		p.Del(a)
	}
}

// TestWakeBeforeSleep: what was made visible before a Wake is seen by idle, and
// a Wake in idle ends the sleep that follows.
func TestWakeBeforeSleep(t *testing.T) {
	p := open(t)
	p.Wake() // nobody sleeps: idle will look
	asked := false
	if n, err := p.Wait(make([]poller.Event, 8), func() time.Duration { asked = true; return 0 }); n != 0 || err != nil || !asked {
		t.Fatalf("%d, %v; idle was asked: %v", n, err, asked)
	}
	begin := time.Now()
	if n, err := p.Wait(make([]poller.Event, 8), func() time.Duration { p.Wake(); return wstest.DefaultTimeout }); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if d := time.Since(begin); d >= wstest.DefaultTimeout {
		t.Errorf("slept %v: the Wake is lost", d)
	}
}

// TestSleep: not shorter than idle says, be it a nap or longer, unless one of the
// runtime's signals interrupts it.
func TestSleep(t *testing.T) {
	p := open(t)
	for _, d := range []time.Duration{1500 * time.Microsecond, 9 * time.Millisecond, 25 * time.Millisecond} {
		var longest time.Duration
		for range 3 {
			begin := time.Now()
			if n, err := p.Wait(make([]poller.Event, 8), func() time.Duration { return d }); n != 0 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			longest = max(longest, time.Since(begin))
		}
		if longest < d {
			t.Errorf("slept %v, want %v: a spin before every deadline", longest, d)
		}
	}
}

// TestWakeLongSleep: a Wake and an event end a sleep that is no nap any more.
func TestWakeLongSleep(t *testing.T) {
	const late = 30 * time.Millisecond
	for _, tt := range []struct {
		name string
		end  func(p *poller.Poller, fd int)
		want int
	}{
		{"wake", func(p *poller.Poller, _ int) { p.Wake() }, 0},
		{"event", func(_ *poller.Poller, fd int) { unix.Write(fd, []byte("x")) }, 1},
	} {
		p := open(t)
		a, b := pair(t)
		if err := p.Add(a, poller.Token{Slot: 1}, poller.In); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		timer := time.AfterFunc(late, func() { tt.end(p, b) })
		n := 0
		var err error
		for n == 0 && err == nil && time.Since(begin) < late { // a signal may end one early
			n, err = p.Wait(make([]poller.Event, 8), func() time.Duration { return wstest.DefaultTimeout })
		}
		if n != tt.want || err != nil || time.Since(begin) >= wstest.DefaultTimeout {
			t.Errorf("%s: %d events, %v after %v", tt.name, n, err, time.Since(begin))
		}
		timer.Stop()
	}
}

// TestStopTheWorld: the collector does not wait for a nap to end.
func TestStopTheWorld(t *testing.T) {
	p := open(t)
	asleep, done := make(chan bool, 1), make(chan bool)
	go func() {
		runtime.LockOSThread()
		events := make([]poller.Event, 8)
		for {
			select {
			case <-done:
				return
			default:
				p.Wait(events, func() time.Duration {
					select {
					case asleep <- true:
					default:
					}
					return 9 * time.Millisecond
				})
			}
		}
	}()
	wstest.Receive(t, "the poller to sleep", asleep)
	before := pauses()
	const cycles = 30
	for range cycles {
		runtime.GC()
	}
	close(done)
	// Two stops in each cycle. If they waited for naps, most would take milliseconds.
	if long := pauses() - before; long > cycles {
		t.Errorf("%d of %d stops took over 2 ms", long, 2*cycles)
	}
}

// pauses is how many stops of the collector have taken over 2 ms.
func pauses() (n uint64) {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	for i, c := range h.Counts {
		if h.Buckets[i] > 0.002 {
			n += c
		}
	}
	return n
}

// TestWakeWithEvents: a wake-up is never reported, whatever comes with it.
func TestWakeWithEvents(t *testing.T) {
	p := open(t)
	for slot := range int32(3) {
		a, b := pair(t)
		p.Add(a, poller.Token{Slot: slot}, poller.In)
		unix.Write(b, []byte("x"))
	}
	// Wait does not sleep with events there; so the eventfd is written from idle
	// of a Poller that has none yet.
	q := open(t)
	a, b := pair(t)
	q.Add(a, poller.Token{Slot: 5}, poller.In)
	n, err := q.Wait(make([]poller.Event, 8), func() time.Duration { unix.Write(b, []byte("x")); q.Wake(); return -1 })
	if n != 1 || err != nil {
		t.Errorf("%d events, %v, want the socket's", n, err)
	}
	if ev := look(t, p); len(ev) != 3 {
		t.Errorf("%d events, want 3", len(ev))
	}
}

// TestNoLostWake: many goroutines publish work and wake; the owner sleeps
// without end and must see all of it.
func TestNoLostWake(t *testing.T) {
	p := open(t)
	const posters, each = 8, 2000
	var work, seen atomic.Int64
	var all sync.WaitGroup
	for range posters {
		all.Go(func() {
			for range each {
				work.Add(1)
				p.Wake()
			}
		})
	}
	done := make(chan bool, 1)
	go func() {
		events := make([]poller.Event, 8)
		for seen.Load() < posters*each {
			if n, err := p.Wait(events, func() time.Duration {
				if work.Load() > seen.Load() {
					return 0
				}
				return -1
			}); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
				break
			}
			seen.Store(work.Load())
		}
		done <- true
	}()
	all.Wait()
	wstest.Receive(t, "the owner to see all the work", done)
}

func BenchmarkWake(b *testing.B) {
	p := open(b)
	b.Run("awake", func(b *testing.B) {
		for b.Loop() {
			p.Wake()
		}
	})
}
