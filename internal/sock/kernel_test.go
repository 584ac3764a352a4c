//go:build linux

package sock_test

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
)

// TestSystem: each method of the real kernel reaches its system call.
func TestSystem(t *testing.T) {
	var k sock.Kernel = sock.System{}
	listener, err := k.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	at := k.LocalAddr(listener)
	if _, _, e := k.Accept(listener); e != unix.EAGAIN {
		t.Errorf("accept of nobody: %v, want EAGAIN", e)
	}
	client, e := k.Connect(at, netip.Addr{})
	if e != 0 {
		t.Fatal(e)
	}
	var server int
	wstest.Eventually(t, "a connection is accepted", func() bool {
		var peer netip.Addr
		server, peer, e = k.Accept(listener)
		return e == 0 && peer == at.Addr()
	})
	if k.PeerAddr(client) != at || k.Error(client) != 0 || k.Unread(client) || k.Unacked(client) != 0 {
		t.Errorf("peer %v, error %v, unread %v, %d not acknowledged", k.PeerAddr(client), k.Error(client), k.Unread(client), k.Unacked(client))
	}
	var v sock.Vector
	v.Add([]byte("ab"))
	v.Add([]byte("c"))
	var joined string
	for b := range v.Slices() {
		joined += string(b) + "|"
	}
	if joined != "ab|c|" {
		t.Errorf("slices %q", joined)
	}
	if n, e := k.SendVector(server, &v); n != 3 || e != 0 {
		t.Fatal(n, e)
	}
	if n, e := k.Send(server, []byte("d")); n != 1 || e != 0 {
		t.Fatal(n, e)
	}
	k.ShutdownWrite(server)
	var got []byte
	wstest.Eventually(t, "everything and the end has come", func() bool {
		p := make([]byte, 8)
		n, e := k.Recv(client, p)
		got = append(got, p[:n]...)
		return n == 0 && e == 0
	})
	if d := k.PeerProgress(server); string(got) != "abcd" || d.Taken < 4 {
		t.Errorf("%q came, %d bytes are taken", got, d.Taken)
	}
	k.Reset(server)
	wstest.Eventually(t, "the reset has come", func() bool { return k.Error(client) == unix.EPIPE }) // it is, behind FIN
	spare, e := k.Spare()
	if e != 0 {
		t.Fatal(e)
	}
	for _, fd := range []int{listener, client, spare} {
		k.Close(fd)
		if e := k.Error(fd); e != unix.EBADF {
			t.Errorf("descriptor %d is not closed: %v", fd, e)
		}
	}
}

// BenchmarkKernel: a method beside its function, of a call that fails at once, which is
// the shortest that there is.
func BenchmarkKernel(b *testing.B) {
	p := make([]byte, 8)
	b.Run("function", func(b *testing.B) {
		for b.Loop() {
			sock.Recv(-1, p)
		}
	})
	b.Run("method", func(b *testing.B) {
		var k sock.Kernel = sock.System{}
		for b.Loop() {
			k.Recv(-1, p)
		}
	})
}
