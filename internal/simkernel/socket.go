//go:build linux

package simkernel

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// kind is what a descriptor stands for.
type kind uint8

const (
	kindStream kind = iota
	kindListener
	kindSpare
)

// socket is one end of a connection, or a listener, or a spare descriptor.
type socket struct {
	m     *Machine
	kind  kind
	fd    int
	owner *Kernel // whose descriptor it is; nil: a Peer's, or nobody's yet
	reg   *registration

	local, remote netip.AddrPort
	in, out       *half
	other         *socket
	connecting    bool
	err           unix.Errno // pending
	broken        bool       // by RST: nothing moves any more
	closed        bool
	wake          func() // of a Peer: something has happened

	queue []*socket // of a listener: connections that wait to be accepted
}

// dequeue takes the connection that has waited longest at a listener.
func (s *socket) dequeue() *socket {
	first := s.queue[0]
	s.queue = s.queue[1:]
	return first
}

// half is one direction of a connection.
type half struct {
	from, to *socket
	sent     []byte // in the sender's buffer: not at the receiver yet
	arrived  []byte // at the receiver, not read
	fin      bool   // behind sent there is the end
	finished bool   // the end has arrived, behind arrived
	moving   bool   // an event of the network will move some
	bytes    uint64 // that have arrived, in all
	acked    int64  // when some have last
}

// connect makes the two ends of a connection; they have no descriptors yet.
func (m *Machine) connect(from, to netip.AddrPort) (client, server *socket) {
	client = &socket{m: m, local: from, remote: to}
	server = &socket{m: m, local: to, remote: from}
	there, back := &half{from: client, to: server}, &half{from: server, to: client}
	client.out, client.in, client.other = there, back, server
	server.out, server.in, server.other = back, there, client
	return client, server
}

// push has the network move what was sent, if it may.
func (h *half) push() {
	m := h.from.m
	if h.moving || h.finished || h.to.broken || h.from.connecting || len(h.sent) == 0 && !h.fin || len(h.sent) > 0 && h.room() <= 0 {
		return
	}
	h.moving = true
	m.after(h.move)
}

// room is the receiver's window.
func (h *half) room() int { return h.from.m.cfg.Window - len(h.arrived) }

// move is one event of the network.
func (h *half) move() {
	m := h.from.m
	h.moving = false
	if h.to.broken {
		return
	}
	if h.to.closed {
		if len(h.sent) > 0 { // nobody will read it
			h.sent = nil
			h.from.breakOff(unix.ECONNRESET)
		}
		h.finished = h.fin
		return
	}
	n := min(len(h.sent), h.room())
	if n > 1 && m.chance(m.cfg.Faults.CutRead) {
		n = 1 + m.random.IntN(n)
	}
	if n > 0 {
		h.arrived = append(h.arrived, h.sent[:n]...)
		h.sent = h.sent[n:]
		if len(h.sent) == 0 {
			h.sent = nil
		}
		h.bytes += uint64(n)
		h.acked = m.Clock.Now()
	}
	if len(h.sent) == 0 && h.fin {
		h.finished = true
	}
	m.note("move", nil, int64(h.to.fd), int64(n), int64(len(h.sent)))
	h.to.notify()
	h.from.notify()
	h.push()
}

// breakOff is RST: nothing moves any more, and the socket's owner is told once.
func (s *socket) breakOff(e unix.Errno) {
	if s.broken || s.closed {
		return
	}
	s.m.note("break", nil, int64(s.fd), int64(e))
	s.broken, s.err = true, e
	s.out.sent = nil
	s.notify()
}

// notify tells a Peer that something has happened; pollers look for themselves.
func (s *socket) notify() {
	if s.wake != nil {
		s.wake()
	}
}

// recv takes what has arrived.
func (s *socket) recv(p []byte) (n int, errno unix.Errno) {
	h := s.in
	switch {
	case s.connecting:
		return 0, unix.EAGAIN
	case len(h.arrived) > 0:
		n = copy(p, h.arrived)
		h.arrived = h.arrived[n:]
		if len(h.arrived) == 0 {
			h.arrived = nil
		}
		h.push() // there is room again
		return n, 0
	case s.err != 0:
		errno, s.err = s.err, 0
		return 0, errno
	case h.finished || s.broken:
		return 0, 0
	}
	return 0, unix.EAGAIN
}

// space is how much a send takes now.
func (s *socket) space() int { return s.m.cfg.SendBuffer - len(s.out.sent) }

// send takes as much of p as there is room for.
func (s *socket) send(p []byte) (n int, errno unix.Errno) {
	h := s.out
	switch {
	case s.err != 0:
		errno, s.err = s.err, 0
		return 0, errno
	case s.broken || h.fin:
		return 0, unix.EPIPE
	case s.connecting || s.space() <= 0:
		return 0, unix.EAGAIN
	}
	n = min(len(p), s.space())
	h.sent = append(h.sent, p[:n]...)
	h.push()
	return n, 0
}

// shutWrite is FIN, behind what was sent.
func (s *socket) shutWrite() {
	if !s.broken && !s.out.fin {
		s.out.fin = true
		s.out.push()
	}
}

// close ends a socket: with RST if it is asked for, or if there is input that nobody has
// read.
func (s *socket) close(reset bool) {
	if s.kind == kindListener {
		for _, w := range s.queue { // connections that wait are reset
			w.close(true)
		}
		s.queue = nil
	}
	if s.kind != kindStream {
		s.closed = true
		return
	}
	reset = reset || len(s.in.arrived) > 0
	s.shutWrite()
	s.closed = true
	if reset && !s.broken {
		s.broken, s.out.sent = true, nil
		s.m.after(func() { s.other.breakOff(unix.ECONNRESET) })
	}
}

// ready is what a poller reports of a socket that waits for in.
func (s *socket) ready(in uint32) (events uint32) {
	if s.kind == kindListener {
		if len(s.queue) > 0 {
			events = unix.EPOLLIN
		}
		return events & in
	}
	if s.err != 0 {
		events |= unix.EPOLLERR
	}
	if s.broken || s.in.finished && s.out.fin {
		events |= unix.EPOLLHUP
	}
	if !s.connecting {
		if len(s.in.arrived) > 0 || s.in.finished || s.broken {
			events |= unix.EPOLLIN
		}
		// As in Linux, a third of the buffer must be free: each wake-up is worth its while.
		if 3*s.space() >= s.m.cfg.SendBuffer || s.broken {
			events |= unix.EPOLLOUT
		}
	}
	return events & (in | unix.EPOLLERR | unix.EPOLLHUP)
}

// progress is what TCP_INFO says.
func (s *socket) progress() sock.Progress {
	h := s.out
	d := sock.Progress{
		Taken: h.bytes, Waiting: len(h.sent) > 0, Backlog: len(h.sent) > 16<<10, Window: uint32(max(h.room(), 0)), LastAck: -1,
	}
	if last := max(h.acked, s.in.acked); last > 0 {
		d.LastAck = time.Duration(s.m.Clock.Now() - last).Truncate(time.Millisecond)
	}
	return d
}
