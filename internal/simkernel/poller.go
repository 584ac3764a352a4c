//go:build linux

package simkernel

import (
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/poller"
)

// Poller is the poller of one loop. Its Wait returns at once: the test turns a loop when
// Due says that it would have woken.
type Poller struct {
	k      *Kernel
	regs   []*registration // in the order of Add
	asleep bool
	woken  bool
	until  int64 // the moment at which the sleep ends
	closed bool
}

type registration struct {
	poller *Poller
	s      *socket
	token  poller.Token
	in     uint32
}

// Poller makes the poller of a loop.
func (k *Kernel) Poller() *Poller { return &Poller{k: k} }

// Add registers a descriptor, as poller.Poller does; so Mod, Del and Close.
func (p *Poller) Add(fd int, t poller.Token, in poller.Interest) error {
	s := p.k.socket(fd, "epoll_ctl ADD")
	switch {
	case s == nil:
		return unix.EBADF
	case s.reg != nil:
		return p.fault("ADD", fd, unix.EEXIST)
	}
	s.reg = &registration{p, s, t, uint32(in) &^ uint32(poller.Exclusive)}
	p.regs = append(p.regs, s.reg)
	p.k.m.note("add", nil, int64(p.k.id), int64(fd), int64(t.Slot), int64(t.Generation), int64(in))
	return nil
}

// Mod changes what a descriptor waits for.
func (p *Poller) Mod(fd int, t poller.Token, in poller.Interest) error {
	r, err := p.registered("MOD", fd)
	if err != nil {
		return err
	}
	m := p.k.m
	m.note("mod", nil, int64(p.k.id), int64(fd), int64(t.Slot), int64(t.Generation), int64(in))
	if m.cfg.Plant == PlantRearm && in&poller.Out != 0 && m.random.IntN(8) == 0 {
		in &^= poller.Out
	}
	r.token, r.in = t, uint32(in)
	return nil
}

// Del removes a descriptor.
func (p *Poller) Del(fd int) error {
	r, err := p.registered("DEL", fd)
	if err != nil {
		return err
	}
	p.k.m.note("del", nil, int64(p.k.id), int64(fd))
	p.drop(r)
	return nil
}

// registered is the registration of a descriptor; a fault, if there is none.
func (p *Poller) registered(op string, fd int) (*registration, error) {
	s := p.k.socket(fd, "epoll_ctl "+op)
	switch {
	case s == nil:
		return nil, unix.EBADF
	case s.reg == nil || s.reg.poller != p:
		return nil, p.fault(op, fd, unix.ENOENT)
	}
	return s.reg, nil
}

func (p *Poller) fault(op string, fd int, e unix.Errno) error {
	p.k.m.cfg.Fault("loop %d: epoll_ctl %s of descriptor %d: %v", p.k.id, op, fd-firstFD, e)
	return e
}

func (p *Poller) drop(r *registration) {
	i := slices.Index(p.regs, r)
	p.regs = slices.Delete(p.regs, i, i+1)
	r.s.reg = nil
}

// Wait fills events with what is ready, in any order, and leaves some of it out: what is
// ready stays so. idle is not asked; see Sleep.
func (p *Poller) Wait(events []poller.Event, _ func() time.Duration) (n int, err error) {
	m := p.k.m
	p.asleep, p.woken = false, false
	for _, r := range p.regs {
		e := r.s.ready(r.in)
		if e == 0 || n == len(events) || m.chance(m.cfg.Faults.DelayEvent) {
			continue
		}
		events[n] = poller.Event{Events: e, Fd: r.token.Slot, Pad: int32(r.token.Generation)}
		n++
	}
	m.random.Shuffle(n, func(i, j int) { events[i], events[j] = events[j], events[i] })
	m.note("wait", nil, int64(p.k.id), int64(n))
	return n, nil
}

// Sleep begins the sleep that comes before the next Wait: for so long, negative without
// end, if nothing is ready.
func (p *Poller) Sleep(d time.Duration) {
	p.asleep = true
	p.until = math.MaxInt64
	if d >= 0 {
		p.until = p.k.m.Clock.Now() + int64(min(d, math.MaxInt64/4))
	}
}

// Wake ends the sleep.
func (p *Poller) Wake() {
	if p.asleep {
		p.woken = true
	}
}

// Sleeping reports whether the loop sleeps.
func (p *Poller) Sleeping() bool { return p.asleep && !p.woken }

// Due is how long it is until the loop would wake, as far as anybody knows now; negative:
// nothing will wake it. 0: it is to be turned.
func (p *Poller) Due() time.Duration {
	if p.woken || !p.asleep {
		return 0
	}
	for _, r := range p.regs {
		if r.s.ready(r.in) != 0 {
			return 0
		}
	}
	if p.until == math.MaxInt64 {
		return -1
	}
	return time.Duration(max(p.until-p.k.m.Clock.Now(), 0))
}

// Close ends it.
func (p *Poller) Close() {
	if p.closed {
		p.k.m.cfg.Fault("loop %d: its poller is closed twice", p.k.id)
	}
	p.closed = true
	for _, r := range p.regs {
		r.s.reg = nil
	}
	p.regs = nil
}
