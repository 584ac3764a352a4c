//go:build linux

package perch

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

// unixPeer stands for the other end of a unix socket, which has no address, where addresses are compared. No other peer
// has this address.
var unixPeer = netip.IPv6Unspecified()

// UnixPeers stands for connections over unix sockets in Config.TrustedProxies and Config.ProxyProtocol. Such a
// connection comes from this machine, mostly from a proxy, but its headers are believed only if UnixPeers is in the
// list.
func UnixPeers() netip.Prefix { return netip.PrefixFrom(unixPeer, unixPeer.BitLen()) }

const unixScheme = "unix:"

// sharedListener is one listener for all loops: of a unix socket, or inherited.
// The kernel wakes one of them for a connection (EPOLLEXCLUSIVE).
type sharedListener struct {
	// Immutable.
	fd        int
	addr      net.Addr
	unix      bool
	multipath bool      // see sock.Multipath
	file      sock.File // made by us

	users atomic.Int32 // loops that still use it
	once  sync.Once
}

// shareListener opens the listener that the configuration names; nil: the loops share none.
func shareListener(c *Config) (s *sharedListener, err error) {
	switch path, isUnix := strings.CutPrefix(c.Addr, unixScheme); {
	case c.Listener != nil:
		return inherit(c.Listener)
	case isUnix:
		s = &sharedListener{unix: true, addr: &net.UnixAddr{Name: path, Net: "unix"}}
		if s.fd, s.file, err = sock.ListenUnix(path, c.SocketMode); err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, nil
}

func inherit(c syscall.Conn) (*sharedListener, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("Listener: %w", err)
	}
	s := new(sharedListener)
	var inner error
	err = raw.Control(func(fd uintptr) { s.fd, inner = sock.Inherit(int(fd)) })
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, fmt.Errorf("Listener: %w", err)
	}
	var path string
	if path, s.unix = sock.UnixPath(s.fd); s.unix {
		s.addr = &net.UnixAddr{Name: path, Net: "unix"}
	} else {
		s.addr, s.multipath = net.TCPAddrFromAddrPort(sock.LocalAddr(s.fd)), sock.Multipath(s.fd)
	}
	return s, nil
}

// leave is called once for each loop; the last one closes the listener.
func (s *sharedListener) leave() {
	if s.users.Add(-1) == 0 {
		s.close()
	}
}

func (s *sharedListener) close() {
	s.once.Do(func() {
		s.file.Remove()
		sock.Close(s.fd)
	})
}

// listen opens the loop's own listener (the kernel chooses among those of all loops), or uses the one that all loops
// share.
func (l *loop) listen() (err error) {
	l.own.Check()
	switch srv := l.srv; {
	case srv.shared != nil:
		l.accepting.listener, l.accepting.interest = srv.shared.fd, poller.In|poller.Exclusive
	case srv.addr.IsValid():
		if l.accepting.listener, err = l.kernel.Listen(srv.addr, true); err != nil {
			l.accepting.listener = -1
			return err
		}
		l.accepting.interest = poller.In
	default:
		return nil
	}
	l.kernel.SetBuffers(l.accepting.listener, l.srv.cfg.SendBuffer, l.srv.cfg.ReceiveBuffer)
	if err := l.poller.Add(l.accepting.listener, poller.Token{Slot: listenerSlot}, l.accepting.interest); err != nil {
		l.closeListener()
		return err
	}
	return nil
}

// closeListener ends listening. If possible, no connection is left in the queue: see shutdown.
func (l *loop) closeListener() {
	l.own.Check()
	switch {
	case l.accepting.shares:
		l.accepting.shares = false
		if l.accepting.listener >= 0 {
			l.poller.Del(l.accepting.listener)
		}
		l.srv.shared.leave()
	case l.accepting.listener >= 0:
		l.kernel.Close(l.accepting.listener)
	}
	l.accepting.listener = -1
	l.accepting.pausedUntil = 0
}
