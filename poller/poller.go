//go:build linux

// Package poller is epoll with an eventfd to wake it: level-triggered, one
// owner, no callbacks and no table of descriptors. Linux only.
//
// Every registration carries a [Token] that comes back in its events, so that
// the caller finds its state without a map, and tells a stale event (one that
// was fetched before its descriptor was closed and reused) by the generation.
//
// # Who may call
//
// One thread owns a Poller and calls all methods but Wake, which any goroutine
// may call at any time until Close.
//
// A Wait that sleeps keeps the owner's P for up to 9 ms. The owner's process
// needs one P more for each Poller than it needs otherwise: see
// [runtime.GOMAXPROCS].
//
// # Not guaranteed
//
// Events may be spurious: readiness can be gone when it is acted on. A closed
// descriptor leaves the poller only when no duplicate of it is open anywhere;
// who hands one to another process calls Del first.
package poller

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Interest is what a registration waits for. Errors and hang-ups are always
// reported; an Interest of 0 waits for nothing else.
type Interest uint32

// Level-triggered interests.
const (
	In  Interest = unix.EPOLLIN
	Out Interest = unix.EPOLLOUT
)

// Exclusive is for a listener that several Pollers wait for, and for Add alone: an
// event wakes one or a few of them, not all.
const Exclusive Interest = unix.EPOLLEXCLUSIVE

// Token identifies a registration: the caller's slot and the generation that
// tells two uses of the same slot apart.
type Token struct {
	Slot       int32
	Generation uint32
}

// Event is one ready registration.
type Event unix.EpollEvent

// Token is the one that was registered.
func (e *Event) Token() Token { return Token{Slot: e.Fd, Generation: uint32(e.Pad)} }

// Readable reports input, or an end of input, or an error that a read returns.
func (e *Event) Readable() bool { return e.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Writable reports room for output, or an error that a write returns.
func (e *Event) Writable() bool { return e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Broken reports that both directions are shut or the socket has an error:
// these cannot be masked, so they must be acted on at once.
func (e *Event) Broken() bool { return e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// wakeSlot marks the eventfd. No caller's slot is negative.
const wakeSlot = -1

// Poller is an epoll instance and its eventfd.
type Poller struct {
	epfd, wakefd int
	nap          int // milliseconds, see nap

	// Atomic: any goroutine. 1 from before a blocking wait until after it, or
	// until the first Wake: the only time in which a write to wakefd is needed.
	sleeping atomic.Uint32
	wakers   atomic.Int32 // between having seen sleeping set and having written
}

// New opens an epoll instance and an eventfd. Errors are those of the kernel.
func New() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("poller: epoll_create1: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("poller: eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakefd: wakefd, nap: nap}
	if err := p.Add(wakefd, Token{Slot: wakeSlot}, In); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Yield makes every sleep give up the P: for a caller that has none to itself. It is
// called before the first Wait.
func (p *Poller) Yield() { p.nap = 0 }

// Close releases both descriptors. Wait must not be called any more; a Wake that
// is late does nothing.
func (p *Poller) Close() {
	for p.wakers.Load() != 0 { // it must not write to what has the number next
		runtime.Gosched()
	}
	unix.Close(p.wakefd)
	unix.Close(p.epfd)
}

// Add registers fd. The slot of t must not be negative.
func (p *Poller) Add(fd int, t Token, in Interest) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, t, in)
}

// Mod changes what a registered fd waits for.
func (p *Poller) Mod(fd int, t Token, in Interest) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, t, in)
}

// Del removes fd. Closing the only descriptor of a socket removes it as well.
func (p *Poller) Del(fd int) error {
	return p.control(unix.EPOLL_CTL_DEL, fd, Token{}, 0)
}

func (p *Poller) control(op, fd int, t Token, in Interest) error {
	ev := unix.EpollEvent{Events: uint32(in), Fd: t.Slot, Pad: int32(t.Generation)}
	// epoll_ctl does not sleep: the raw call saves the scheduler's bookkeeping.
	if _, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); e != 0 {
		return fmt.Errorf("poller: epoll_ctl: %w", e)
	}
	return nil
}

// Wait fills events and returns how many. First it asks idle how long it may
// sleep if nothing is ready: negative without end, 0 not at all. idle is called
// after Wake has begun to count: work that was made visible before a Wake is
// either seen by idle or ends the sleep. Wake-ups themselves are not reported.
func (p *Poller) Wait(events []Event, idle func() time.Duration) (int, error) {
	p.sleeping.Store(1)
	timeout := idle()
	ms := -1
	if timeout >= 0 {
		// rounded up: never a spin before a deadline
		ms = int(min((timeout+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
	}
	first := ms
	if ms < 0 || ms > p.nap {
		first = p.nap
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(first), 0, 0)
	if n == 0 && e == 0 && first != ms {
		if ms > 0 {
			ms -= first
		}
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	}
	p.sleeping.Store(0)
	return p.woken(events, int(n), e)
}

// nap is how many milliseconds Wait sleeps in a raw call, of which the scheduler
// is not told: the caller keeps its P. A sleep that gives up the P wakes the
// runtime's monitor thread at its end, which then looks for Ps to take fifty times
// within a millisecond. That costs more than most messages, so nothing that comes
// more often than this pays it. A stop-the-world does not wait for a nap: the
// signal that asks the thread to stop interrupts it. One of 10 ms or more the
// monitor would interrupt in vain.
const nap = 9

// Sleeping reports whether the owner is in Wait. Any goroutine.
func (p *Poller) Sleeping() bool { return p.sleeping.Load() != 0 }

// woken takes the eventfd's event out and resets it.
func (p *Poller) woken(events []Event, n int, e unix.Errno) (int, error) {
	if e != 0 {
		if e == unix.EINTR {
			return 0, nil
		}
		return 0, fmt.Errorf("poller: epoll_pwait: %w", e)
	}
	for i := range events[:n] {
		if events[i].Fd == wakeSlot {
			var count [8]byte
			syscall.RawSyscall(unix.SYS_READ, uintptr(p.wakefd), uintptr(unsafe.Pointer(&count[0])), 8)
			events[i] = events[n-1]
			return n - 1, nil
		}
	}
	return n, nil
}

// Wake ends the sleep of Wait, if it sleeps; otherwise the next idle will see
// what the caller made visible before. It costs a system call only if the owner
// sleeps and nobody else has woken it.
func (p *Poller) Wake() {
	if p.sleeping.Load() == 0 {
		return
	}
	p.wakers.Add(1)
	if p.sleeping.CompareAndSwap(1, 0) {
		one := [8]byte{1}
		syscall.RawSyscall(unix.SYS_WRITE, uintptr(p.wakefd), uintptr(unsafe.Pointer(&one[0])), 8)
	}
	p.wakers.Add(-1)
}
