package clock

import (
	"slices"
	"sync"
	"time"
)

// Manual is a clock for tests: time stands still but for Advance. It is good for any
// goroutine; functions that are due run on the one that calls Advance.
type Manual struct {
	mu     sync.Mutex
	now    int64
	wall   time.Time // at the moment 0
	made   uint64
	alarms []*alarm // by moment, those of one moment as they were made
}

type alarm struct {
	at   int64
	made uint64
	f    func()
}

// NewManual makes a clock that stands at one hour after the boot of its machine, and at
// the given time of day.
func NewManual(wall time.Time) *Manual {
	return &Manual{now: int64(time.Hour), wall: wall.Add(-time.Hour)}
}

// Now implements Clock.
func (m *Manual) Now() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Wall implements Clock.
func (m *Manual) Wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall.Add(time.Duration(m.now))
}

// AfterFunc implements Clock. A function that is due at once runs at the next
// Advance, also at one of 0.
func (m *Manual) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	a := &alarm{m.now + int64(max(d, 0)), m.made, f}
	i, _ := slices.BinarySearchFunc(m.alarms, a, func(b, a *alarm) int {
		if b.at <= a.at {
			return -1
		}
		return 1
	})
	m.alarms = slices.Insert(m.alarms, i, a)
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		i := slices.Index(m.alarms, a)
		if i >= 0 {
			m.alarms = slices.Delete(m.alarms, i, i+1)
		}
		return i >= 0
	}
}

// Next is how long it is until a function is due; ok is false if none is.
func (m *Manual) Next() (d time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.alarms) == 0 {
		return 0, false
	}
	return time.Duration(max(m.alarms[0].at-m.now, 0)), true
}

// Advance lets d pass. The functions that are due run in the order of their moments,
// each at its own, before Advance returns; those that they ask for in turn as well.
// One goroutine at a time may call it.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now + int64(max(d, 0))
	for len(m.alarms) > 0 && m.alarms[0].at <= end {
		a := m.alarms[0]
		m.alarms = slices.Delete(m.alarms, 0, 1)
		m.now = max(m.now, a.at)
		m.mu.Unlock()
		a.f()
		m.mu.Lock()
	}
	m.now = end
	m.mu.Unlock()
}

// Set moves the time of day, as an administrator does; moments go on as they were.
func (m *Manual) Set(wall time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = wall.Add(-time.Duration(m.now))
}
