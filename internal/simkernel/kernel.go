//go:build linux

package simkernel

import (
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// Kernel is the machine as one loop sees it: a sock.Kernel with a descriptor table of
// its own, in which no other loop's descriptors mean anything.
type Kernel struct {
	m  *Machine
	id int
}

// Kernel makes the kernel of the loop with this number.
func (m *Machine) Kernel(id int) *Kernel { return &Kernel{m, id} }

// install gives a socket the lowest free number.
func (k *Kernel) install(s *socket) int {
	m := k.m
	at := slices.Index(m.table, nil)
	if at < 0 {
		at = len(m.table)
		m.table = append(m.table, nil)
	}
	m.table[at] = s
	s.fd, s.owner = firstFD+at, k
	return s.fd
}

// socket is the one of a descriptor; nil, and a fault, if the loop has none.
func (k *Kernel) socket(fd int, call string) *socket {
	if i := fd - firstFD; i >= 0 && i < len(k.m.table) && k.m.table[i] != nil {
		if s := k.m.table[i]; s.owner == k {
			return s
		}
		k.m.cfg.Fault("loop %d: %s on descriptor %d, which is loop %d's", k.id, call, fd-firstFD, k.m.table[i].owner.id)
		return nil
	}
	k.m.cfg.Fault("loop %d: %s on descriptor %d, which is not open", k.id, call, fd-firstFD)
	return nil
}

// stream is socket for what has two directions.
func (k *Kernel) stream(fd int, call string) *socket {
	s := k.socket(fd, call)
	if s != nil && s.kind != kindStream {
		k.m.cfg.Fault("loop %d: %s on descriptor %d, which is no connection", k.id, call, fd-firstFD)
		return nil
	}
	return s
}

// Listen implements sock.Kernel. With shared set, the loops that listen on an address
// share what comes there.
func (k *Kernel) Listen(addr netip.AddrPort, shared bool) (fd int, err error) {
	m := k.m
	if addr.Port() == 0 {
		m.port++
		addr = netip.AddrPortFrom(addr.Addr(), m.port)
	}
	if len(m.listeners[addr]) > 0 && !shared {
		return -1, os.NewSyscallError("bind", unix.EADDRINUSE)
	}
	s := &socket{m: m, kind: kindListener, local: addr}
	m.listeners[addr] = append(m.listeners[addr], s)
	fd = k.install(s)
	m.note("listen", nil, int64(k.id), int64(fd), int64(addr.Port()))
	return fd, nil
}

// Accept implements sock.Kernel.
func (k *Kernel) Accept(listener int) (fd int, peer netip.Addr, errno unix.Errno) {
	m := k.m
	l := k.socket(listener, "accept")
	switch {
	case l == nil:
		return -1, peer, unix.EBADF
	case len(l.queue) == 0:
		return -1, peer, unix.EAGAIN
	}
	if m.chance(m.cfg.Faults.FailAccept) {
		errno = []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ECONNABORTED}[m.random.IntN(3)]
		m.note("accept", nil, int64(k.id), int64(listener), int64(errno))
		if errno == unix.ECONNABORTED {
			l.dequeue().close(true)
		}
		return -1, peer, errno
	}
	s := l.dequeue()
	fd = k.install(s)
	m.note("accept", nil, int64(k.id), int64(listener), int64(fd), int64(s.remote.Port()))
	return fd, s.remote.Addr(), 0
}

// Connect implements sock.Kernel.
func (k *Kernel) Connect(remote netip.AddrPort, local netip.Addr) (fd int, errno unix.Errno) {
	if !local.IsValid() {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	s := k.m.dial(remote, local)
	fd = k.install(s)
	k.m.note("connect", nil, int64(k.id), int64(fd), int64(remote.Port()))
	return fd, 0
}

// dial begins a connection. It is there when the network has had its time.
func (m *Machine) dial(remote netip.AddrPort, local netip.Addr) *socket {
	m.port++
	client, server := m.connect(netip.AddrPortFrom(local, m.port), remote)
	client.connecting = true
	m.after(func() {
		listeners := m.listeners[remote]
		switch {
		case client.closed:
			return
		case len(listeners) == 0 || m.chance(m.cfg.Faults.RefuseConnect):
			client.connecting = false
			client.breakOff(unix.ECONNREFUSED)
			return
		}
		l := listeners[m.random.IntN(len(listeners))]
		l.queue = append(l.queue, server)
		client.connecting = false
		m.note("connected", nil, int64(client.fd), int64(l.fd))
		client.notify()
		client.out.push()
	})
	return client
}

// Recv implements sock.Kernel.
func (k *Kernel) Recv(fd int, p []byte) (n int, errno unix.Errno) {
	m, s := k.m, k.stream(fd, "recv")
	if s == nil {
		return 0, unix.EBADF
	}
	switch {
	case m.chance(m.cfg.Faults.RefuseRead):
		errno = unix.EAGAIN
	default:
		if len(p) > 1 && m.chance(m.cfg.Faults.CutRead) {
			p = p[:1+m.random.IntN(len(p))]
			if m.random.IntN(2) == 0 {
				p = p[:1+m.random.IntN(min(len(p), 16))]
			}
		}
		n, errno = s.recv(p)
	}
	m.note("recv", p[:n], int64(k.id), int64(fd), int64(n), int64(errno))
	return n, errno
}

// Send implements sock.Kernel.
func (k *Kernel) Send(fd int, p []byte) (n int, errno unix.Errno) {
	s := k.stream(fd, "send")
	if s == nil {
		return 0, unix.EBADF
	}
	if len(p) > sock.MaxRaw {
		p = p[:sock.MaxRaw]
	}
	return k.send(s, p)
}

// SetBuffers implements sock.Kernel. Sockets have the buffers that the test has chosen.
func (k *Kernel) SetBuffers(fd, unsent, receive int) {}

// SendVector implements sock.Kernel.
func (k *Kernel) SendVector(fd int, v *sock.Vector) (n int, errno unix.Errno) {
	s := k.stream(fd, "sendmsg")
	if s == nil {
		return 0, unix.EBADF
	}
	var p []byte
	for b := range v.Slices() {
		p = append(p, b...)
	}
	return k.send(s, p)
}

func (k *Kernel) send(s *socket, p []byte) (n int, errno unix.Errno) {
	m, cut := k.m, false
	switch {
	case s.err == 0 && m.chance(m.cfg.Faults.RefuseWrite):
		errno = unix.EAGAIN
	default:
		if len(p) > 1 && m.chance(m.cfg.Faults.CutWrite) {
			p, cut = p[:1+m.random.IntN(len(p)-1)], true
		}
		n, errno = s.send(p)
	}
	if cut && n > 0 && m.cfg.Plant == PlantBorder && m.random.IntN(4) == 0 && len(s.out.sent) > 0 {
		s.out.sent = s.out.sent[:len(s.out.sent)-1]
	}
	m.note("send", p[:n], int64(k.id), int64(s.fd), int64(n), int64(errno))
	return n, errno
}

// ShutdownWrite implements sock.Kernel.
func (k *Kernel) ShutdownWrite(fd int) {
	if s := k.stream(fd, "shutdown"); s != nil {
		k.m.note("shutdown", nil, int64(k.id), int64(fd))
		s.shutWrite()
	}
}

// Close implements sock.Kernel.
func (k *Kernel) Close(fd int) { k.close(fd, "close", false) }

// Reset implements sock.Kernel.
func (k *Kernel) Reset(fd int) { k.close(fd, "reset", true) }

func (k *Kernel) close(fd int, call string, reset bool) {
	s := k.socket(fd, call)
	if s == nil {
		return
	}
	m := k.m
	m.note(call, nil, int64(k.id), int64(fd))
	if s.reg != nil {
		s.reg.poller.drop(s.reg)
	}
	m.table[fd-firstFD] = nil
	if s.kind == kindListener {
		all := m.listeners[s.local]
		i := slices.Index(all, s)
		m.listeners[s.local] = slices.Delete(all, i, i+1)
	}
	s.close(reset)
}

// Error implements sock.Kernel.
func (k *Kernel) Error(fd int) (errno unix.Errno) {
	s := k.stream(fd, "getsockopt")
	if s == nil {
		return unix.EBADF
	}
	errno, s.err = s.err, 0
	return errno
}

// LocalAddr implements sock.Kernel.
func (k *Kernel) LocalAddr(fd int) netip.AddrPort {
	if s := k.socket(fd, "getsockname"); s != nil {
		return s.local
	}
	return netip.AddrPort{}
}

// PeerAddr implements sock.Kernel.
func (k *Kernel) PeerAddr(fd int) netip.AddrPort {
	if s := k.stream(fd, "getpeername"); s != nil && !s.broken {
		return s.remote
	}
	return netip.AddrPort{}
}

// PeerProgress implements sock.Kernel.
func (k *Kernel) PeerProgress(fd int) (d sock.Progress) {
	if s := k.stream(fd, "TCP_INFO"); s != nil {
		d = s.progress()
	}
	return d
}

// Unacked implements sock.Kernel.
func (k *Kernel) Unacked(fd int) int {
	s := k.stream(fd, "SIOCOUTQ")
	if s == nil {
		return 0
	}
	n := len(s.out.sent)
	if s.out.fin && !s.out.finished {
		n++ // FIN counts as one
	}
	return n
}

// Unread implements sock.Kernel.
func (k *Kernel) Unread(fd int) bool {
	s := k.stream(fd, "SIOCINQ")
	return s != nil && len(s.in.arrived) > 0
}

// Spare implements sock.Kernel.
func (k *Kernel) Spare() (fd int, errno unix.Errno) {
	return k.install(&socket{m: k.m, kind: kindSpare}), 0
}
