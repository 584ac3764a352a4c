package bench

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// pacer sends messages when they are due: message n of sender k, of all N, at
// (n·N + k) times the interval, whether the server keeps up or not. The zero
// value has nothing to send.
type pacer struct {
	// Immutable after start.
	run      *run
	senders  int
	send     func(k int, n uint64, due int64) // on the pacer's goroutine
	base     int64                            // ns since the run's start
	interval float64                          // ns between two messages
	done     chan struct{}

	// Owned by the pacer; others may read it after done.
	delay histogram // of the sends, against their time: what is the client's own fault
	sent  uint64
}

// start begins to send, at rate messages per second.
func (p *pacer) start(r *run, rate float64, senders int, send func(k int, n uint64, due int64)) {
	p.run, p.senders, p.send = r, senders, send
	p.interval, p.delay, p.done = 1e9/rate, newHistogram(), make(chan struct{})
	p.base = r.now()
	go p.loop()
}

// wait waits for the last message to be sent, and returns how many should have
// been sent before the end of the measured interval and were not.
func (p *pacer) wait() (unsent uint64) {
	if p.done == nil {
		return 0
	}
	<-p.done
	due := float64(min(p.run.until.Load(), p.run.now())-p.base) / p.interval
	if p.senders > 0 && due > float64(p.sent) {
		return uint64(due - float64(p.sent))
	}
	return 0
}

// due is when message n of sender k is to be sent, in ns since the run's start.
func (p *pacer) due(k int, n uint64) int64 {
	return p.base + int64(float64(n*uint64(p.senders)+uint64(k))*p.interval)
}

func (p *pacer) loop() {
	defer close(p.done)
	// A thread of its own: the runtime's timers are good to a millisecond.
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it sleeps end up to 50 µs late
	for n := uint64(0); p.senders > 0; n++ {
		for k := range p.senders {
			due := p.due(k, n)
			now := p.run.now()
			for now < due && p.run.sending.Load() {
				sleep(min(due-now, int64(pollPeriod)))
				now = p.run.now()
			}
			if !p.run.sending.Load() {
				return
			}
			if p.run.measuring(due) {
				p.delay.add(now - due)
			}
			p.sent++
			p.send(k, n, due)
		}
	}
}

// sleep sleeps ns nanoseconds, or less.
func sleep(ns int64) {
	t := unix.NsecToTimespec(ns)
	unix.Nanosleep(&t, nil)
}
