//go:build linux

package sock_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

func listen(t *testing.T, addr string, shared bool) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := sock.Listen(netip.MustParseAddrPort(addr), shared)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close(fd) })
	return fd, sock.LocalAddr(fd)
}

// accept waits for a connection.
func accept(t *testing.T, listener int) (fd int, peer netip.Addr) {
	t.Helper()
	wstest.Eventually(t, "a connection is there", func() bool {
		var e unix.Errno
		fd, peer, e = sock.Accept(listener)
		if e != 0 && e != unix.EAGAIN {
			t.Fatal(e)
		}
		return e == 0
	})
	t.Cleanup(func() { sock.Close(fd) })
	return fd, peer
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// TestListenShared: those that share do so with each other alone.
func TestListenShared(t *testing.T) {
	_, at := listen(t, "127.0.0.1:0", true)
	second, err := sock.Listen(at, true)
	if err != nil {
		t.Fatalf("a second one that shares: %v", err)
	}
	sock.Close(second)
	if fd, err := sock.Listen(at, false); !errors.Is(err, unix.EADDRINUSE) {
		sock.Close(fd)
		t.Errorf("one that does not share: %v, want EADDRINUSE", err)
	}
	_, alone := listen(t, "127.0.0.1:0", false)
	if fd, err := sock.Listen(alone, true); !errors.Is(err, unix.EADDRINUSE) {
		sock.Close(fd)
		t.Errorf("beside one that does not share: %v, want EADDRINUSE", err)
	}
}

func TestAcceptPeers(t *testing.T) {
	for _, tt := range []struct{ listen, dial, want string }{
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"[::1]:0", "::1", "::1"},
		{"[::]:0", "127.0.0.1", "127.0.0.1"}, // mapped, and given as IPv4
		{"[::]:0", "::1", "::1"},
		{"0.0.0.0:0", "127.0.0.1", "127.0.0.1"},
	} {
		t.Run(tt.listen+" "+tt.dial, func(t *testing.T) {
			if probe, err := net.Listen("tcp6", "[::1]:0"); err != nil {
				t.Skipf("no IPv6 here: %v", err)
			} else {
				probe.Close()
			}
			l, at := listen(t, tt.listen, true)
			if _, _, e := sock.Accept(l); e != unix.EAGAIN {
				t.Fatalf("errno %v with nobody there, want EAGAIN", e)
			}
			c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tt.dial), at.Port())))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fd, peer := accept(t, l)
			if peer.String() != tt.want {
				t.Errorf("peer %v, want %s", peer, tt.want)
			}
			if got := sock.PeerAddr(fd); got != netip.AddrPortFrom(peer, uint16(c.LocalAddr().(*net.TCPAddr).Port)) {
				t.Errorf("PeerAddr %v, the client is at %v", got, c.LocalAddr())
			}
			if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || v == 0 {
				t.Errorf("TCP_NODELAY is %d, %v", v, err)
			}
			if v, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); v&unix.O_NONBLOCK == 0 {
				t.Error("it blocks")
			}
			if v, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); v&unix.FD_CLOEXEC == 0 {
				t.Error("children inherit it")
			}
		})
	}
	if sock.PeerAddr(1<<30).IsValid() || sock.LocalAddr(1<<30).IsValid() {
		t.Error("no socket, and an address")
	}
}

func TestSendRecv(t *testing.T) {
	a, b := pair(t)
	buf := make([]byte, 100)
	if n, e := sock.Recv(b, buf); n != 0 || e != unix.EAGAIN {
		t.Errorf("Recv of nothing: %d, %v", n, e)
	}
	if n, e := sock.Send(a, []byte("hello")); n != 5 || e != 0 {
		t.Fatalf("Send: %d, %v", n, e)
	}
	if n, e := sock.Recv(b, buf); string(buf[:n]) != "hello" || e != 0 {
		t.Errorf("Recv: %q, %v", buf[:n], e)
	}
	unix.SetNonblock(a, false) // both must not sleep, whatever happens to the flag
	if n, e := sock.Recv(a, buf); n != 0 || e != unix.EAGAIN {
		t.Errorf("Recv of nothing, blocking: %d, %v", n, e)
	}
	if n, e := sock.Send(a, make([]byte, 2*sock.MaxRaw)); n > sock.MaxRaw || e != 0 {
		t.Errorf("one Send moves %d bytes, %v", n, e)
	}
	for e := unix.Errno(0); e == 0; _, e = sock.Send(a, make([]byte, sock.MaxRaw)) {
	}
	if _, e := sock.Send(a, buf); e != unix.EAGAIN {
		t.Errorf("Send to a full socket: %v, want EAGAIN", e)
	}
	sock.ShutdownWrite(a)
	if _, e := sock.Send(a, buf); e != unix.EPIPE {
		t.Errorf("Send after the FIN: %v, want EPIPE and no SIGPIPE", e)
	}
	if _, e := sock.Recv(1<<30, buf); e != unix.EBADF {
		t.Errorf("Recv of no descriptor: %v", e)
	}
	if e := sock.Error(1 << 30); e != unix.EBADF {
		t.Errorf("Error of no descriptor: %v", e)
	}
	if e := sock.Error(b); e != 0 {
		t.Errorf("Error of a sound socket: %v", e)
	}
}

func TestVector(t *testing.T) {
	a, b := pair(t)
	var v sock.Vector
	var want []byte
	for i := range 2 * sock.MaxVector {
		p := bytes.Repeat([]byte{byte(i)}, 1+i)
		if got := v.Add(p); got != (i < sock.MaxVector) {
			t.Fatalf("slice %d is taken: %v", i, got)
		} else if got {
			want = append(want, p...)
		}
	}
	if v.Len() != len(want) {
		t.Errorf("Len %d, want %d", v.Len(), len(want))
	}
	if n, e := v.Send(a); n != len(want) || e != 0 {
		t.Fatalf("Send: %d, %v, want %d", n, e, len(want))
	}
	got := make([]byte, len(want)+1)
	if n, _ := sock.Recv(b, got); !bytes.Equal(got[:n], want) {
		t.Errorf("%d bytes arrive, and not those", n)
	}
	if v.Reset(); v.Len() != 0 {
		t.Errorf("Len %d after Reset", v.Len())
	}
	v.Add(make([]byte, 8<<20)) // through the scheduler, and more than there is room for
	if n, e := v.Send(a); n <= 0 || n >= 8<<20 || e != 0 {
		t.Errorf("Send of 8 MiB: %d, %v", n, e)
	}
	if n, e := v.Send(a); n != 0 || e != unix.EAGAIN {
		t.Errorf("Send to a full socket: %d, %v", n, e)
	}
}

// TestReset: the peer sees RST, not FIN.
func TestReset(t *testing.T) {
	l, at := listen(t, "127.0.0.1:0", false)
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fd, _, e := sock.Accept(l)
	if e != 0 {
		t.Fatal(e)
	}
	sock.Reset(fd)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer reads %v, want ECONNRESET", err)
	}
}

func TestConnect(t *testing.T) {
	l, at := listen(t, "127.0.0.1:0", false)
	fd, e := sock.Connect(at, netip.MustParseAddr("127.0.0.2"))
	if e != 0 {
		t.Fatal(e)
	}
	defer sock.Close(fd)
	if _, peer := accept(t, l); peer.String() != "127.0.0.2" {
		t.Errorf("it comes from %v", peer)
	}
	if e := sock.Error(fd); e != 0 {
		t.Errorf("pending error %v", e)
	}
	if got := sock.PeerAddr(fd); got != at {
		t.Errorf("connected to %v, want %v", got, at)
	}
	if fd, e := sock.Connect(at, netip.MustParseAddr("192.0.2.1")); e != unix.EADDRNOTAVAIL {
		sock.Close(fd)
		t.Errorf("from an address that is not ours: %v", e)
	}
	// Nobody listens there any more: refused at once, or as the pending error.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	fd, e = sock.Connect(nobody, netip.Addr{})
	if e == 0 {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		unix.Poll(poll, int(wstest.DefaultTimeout.Milliseconds()))
		e = sock.Error(fd)
		sock.Close(fd)
	}
	if e != unix.ECONNREFUSED {
		t.Errorf("to nobody: %v, want ECONNREFUSED", e)
	}
}

func TestPass(t *testing.T) {
	from, to, err := sock.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close(from)
	defer sock.Close(to)
	a, b := pair(t)
	if e := sock.Pass(from, a, []byte("note")); e != 0 {
		t.Fatal(e)
	}
	note, oob := make([]byte, 100), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(to, note, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || string(note[:n]) != "note" {
		t.Fatalf("note %q, %v", note[:n], err)
	}
	fd, ok := sock.Rights(oob[:oobn])
	if !ok || fd == a {
		t.Fatalf("descriptor %d, %v", fd, ok)
	}
	defer sock.Close(fd)
	sock.Send(b, []byte("x"))
	if n, e := sock.Recv(fd, note); n != 1 || e != 0 {
		t.Errorf("what was passed is not the socket: %d, %v", n, e)
	}
	for _, oob := range [][]byte{nil, make([]byte, 3), make([]byte, 24)} {
		if fd, ok := sock.Rights(oob); ok {
			t.Errorf("descriptor %d out of %d zeros", fd, len(oob))
		}
	}
	for e := unix.Errno(0); ; {
		if e = sock.Pass(from, a, make([]byte, 1000)); e == unix.EAGAIN {
			break
		} else if e != 0 {
			t.Fatalf("a full pair: %v, want EAGAIN", e)
		}
	}
}

// TestPeerProgress: what the peer has taken, and what waits, of TCP and of a unix
// socket.
func TestPeerProgress(t *testing.T) {
	listener, at := listen(t, "127.0.0.1:0", false)
	client, e := sock.Connect(at, netip.Addr{})
	if e != 0 {
		t.Fatal(e)
	}
	defer sock.Close(client)
	server, _ := accept(t, listener)
	a, b := pair(t)
	for name, fds := range map[string][2]int{"TCP": {server, client}, "unix": {a, b}} {
		from, to := fds[0], fds[1]
		wstest.Eventually(t, name+": nothing waits", func() bool { d := sock.PeerProgress(from); return !d.Waiting && !d.Backlog })
		if sock.Unread(to) {
			t.Errorf("%s: there is input before anything was sent", name)
		}
		p := make([]byte, sock.MaxRaw)
		for e == 0 {
			_, e = sock.Send(from, p)
		}
		if e = 0; !sock.Unread(to) {
			t.Errorf("%s: there is no input", name)
		}
		before := sock.PeerProgress(from)
		if !before.Waiting || !before.Backlog {
			t.Errorf("%s: a full socket: %+v", name, before)
		}
		wstest.Eventually(t, name+": all is taken", func() bool {
			for n := 1; n > 0; {
				n, _ = sock.Recv(to, p)
			}
			d := sock.PeerProgress(from)
			return d.Taken > before.Taken && !d.Waiting && !d.Backlog
		})
	}
}
