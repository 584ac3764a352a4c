package abuse

import (
	"slices"
	"sync"
	"time"
)

// phases of a run.
const (
	quiet = iota
	attack
	after
	phases
)

// Latency is a distribution, in milliseconds.
type Latency struct {
	N             int
	P50, P99, Max float64
}

// latencies are measured times, by phase. Any goroutine.
type latencies struct {
	mu  sync.Mutex
	all [phases][]time.Duration
}

func (l *latencies) add(phase int, d time.Duration) {
	l.mu.Lock()
	l.all[phase] = append(l.all[phase], d)
	l.mu.Unlock()
}

// of is the distribution in a phase.
func (l *latencies) of(phase int) Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Sorted(slices.Values(l.all[phase]))
	if len(all) == 0 {
		return Latency{}
	}
	ms := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Microseconds()) / 1000 }
	return Latency{N: len(all), P50: ms(0.5), P99: ms(0.99), Max: ms(1)}
}
