//go:build linux

package simkernel

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Peer is the other end of a connection with a loop, played by the test.
type Peer struct {
	// Ready is called when something has happened: input, its end, an error, room for
	// output. It may call all methods. nil: nobody is told.
	Ready func()

	s       *socket
	pending []byte // written, and not sent yet
	fin     bool   // behind it there is the end
	told    bool   // Ready is about to be called
}

// Dial begins a connection to a listener of a loop.
func (m *Machine) Dial(to netip.AddrPort, from netip.Addr) *Peer {
	p := &Peer{s: m.dial(to, from)}
	p.s.fd = -int(p.s.local.Port())
	p.s.wake = func() {
		if p.told || p.s.closed {
			return
		}
		p.told = true
		m.after(func() {
			p.told = false
			if p.flush(); p.Ready != nil && !p.s.closed {
				p.Ready()
			}
		})
	}
	m.note("dial", nil, int64(p.s.local.Port()), int64(to.Port()))
	return p
}

// Write sends b, now or as the loop takes it.
func (p *Peer) Write(b []byte) {
	p.s.m.note("peer writes", b, int64(p.s.local.Port()))
	p.pending = append(p.pending, b...)
	p.flush()
}

func (p *Peer) flush() {
	for len(p.pending) > 0 && !p.s.connecting {
		n, e := p.s.send(p.pending)
		if e != 0 {
			if e != unix.EAGAIN {
				p.pending = nil
				if !p.s.closed {
					p.s.err = e // Read tells it
				}
			}
			break
		}
		p.pending = p.pending[n:]
	}
	if p.fin && len(p.pending) == 0 {
		p.s.shutWrite()
	}
}

// Read takes up to len(b) bytes of what has arrived. n is 0 without an errno at the end
// of input; EAGAIN: there is nothing now.
func (p *Peer) Read(b []byte) (n int, errno unix.Errno) {
	n, errno = p.s.recv(b)
	p.s.m.note("peer reads", b[:n], int64(p.s.local.Port()), int64(errno))
	return n, errno
}

// CloseWrite is FIN, behind what was written.
func (p *Peer) CloseWrite() {
	p.fin = true
	p.flush()
}

// Close closes the connection: with RST if there is unread input.
func (p *Peer) Close() { p.end(false) }

// Reset closes it with RST.
func (p *Peer) Reset() { p.end(true) }

func (p *Peer) end(reset bool) {
	if p.s.closed {
		return
	}
	p.s.m.note("peer closes", nil, int64(p.s.local.Port()))
	p.pending = nil
	p.s.close(reset)
}

// Closed reports that Close or Reset was called.
func (p *Peer) Closed() bool { return p.s.closed }
