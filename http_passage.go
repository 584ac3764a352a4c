//go:build linux

package perch

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// passage is how sockets go between a loop and net/http: through a pair of unix
// sockets, which works out of a private descriptor table and into one. What
// belongs to a socket waits in memory, in the same order.
type passage struct {
	outer *net.UnixConn // net/http's end; the loop's is loop.pair

	mu      sync.Mutex
	leaving []leaver // with the sockets on their way out

	entry sync.Mutex // a socket on its way in and its post keep together
}

// leaver is what net/http is told about a connection that a loop passes to it.
type leaver struct {
	input []byte         // read by the loop, from the request's first line on
	key   addrKey        // whom the connection is counted for, there from now on
	peer  netip.AddrPort // as a PROXY header told it; not valid: ask the socket
	wire  *wire          // its TLS; nil: it has none
}

// note is the byte that a descriptor travels with.
var note = []byte{0}

// openPassage opens the passage of one loop.
func openPassage() (w *passage, inner int, err error) {
	inner, outer, err := sock.Pair()
	if err != nil {
		return nil, -1, err
	}
	f := os.NewFile(uintptr(outer), "perch-passage")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		sock.Close(inner)
		return nil, -1, err
	}
	return &passage{outer: c.(*net.UnixConn)}, inner, nil
}

// pass sends a connection's socket out, if the pair has room. The slot is free
// afterwards; the socket lives on in the other descriptor.
func (l *loop) pass(i uint32, s *slot, b []byte) unix.Errno {
	l.own.Check()
	w := l.http.way
	leaving := leaver{input: append([]byte(nil), b...), key: l.slab.peer(i), peer: l.slab.proxiedFor(i)}
	if s.flags&flagTLS != 0 {
		leaving.wire = l.slab.wire(i)
		if out := leaving.wire.out; out != nil {
			leaving.wire.unsent = append([]byte(nil), out.B[leaving.wire.sent:]...)
		}
		l.slab.setWire(i, nil)
	}
	w.mu.Lock()
	w.leaving = append(w.leaving, leaving)
	w.mu.Unlock()
	if e := sock.Pass(l.http.pair, int(s.fd), note); e != 0 {
		if leaving.wire != nil {
			leaving.wire.unsent = nil
			l.slab.setWire(i, leaving.wire)
		}
		w.mu.Lock() // nobody has taken it: what leaves is taken in order, and after its socket
		w.leaving = w.leaving[:len(w.leaving)-1]
		w.mu.Unlock()
		return e
	}
	// Out of our epoll: the registration belongs to the file, not to the
	// descriptor that is about to be closed.
	l.poller.Del(int(s.fd))
	l.stats.HandedOff++
	s.flags |= flagPassed
	l.kill(i, s)
	return 0
}

// receive waits for the next connection that leaves. fd is −1 if no descriptor
// was free for it. An error says that the loop's end is closed.
func (w *passage) receive() (fd int, c leaver, err error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := w.outer.ReadMsgUnix(b[:], oob)
	if err == nil && n == 0 {
		err = net.ErrClosed
	}
	if err != nil {
		return -1, c, err
	}
	w.mu.Lock()
	c = w.leaving[0]
	w.leaving[0] = leaver{}
	if w.leaving = w.leaving[1:]; len(w.leaving) == 0 {
		w.leaving = nil
	}
	w.mu.Unlock()
	fd, ok := sock.Rights(oob[:oobn])
	if !ok {
		fd = -1
	}
	return fd, c, nil
}

// enter sends a socket in, and after it the post that tells the loop of it. It
// waits while the pair is full. Any goroutine but a loop's. Errors: of the system; ErrClosed when the loop has
// ended.
func (l *loop) enter(socket interface{ Control(func(fd uintptr)) error }, p post) error {
	outer, err := l.http.way.outer.SyscallConn()
	if err != nil {
		return ErrClosed
	}
	l.http.way.entry.Lock()
	defer l.http.way.entry.Unlock()
	var failed error
	err = outer.Write(func(pair uintptr) (done bool) {
		e := unix.Errno(0)
		failed = socket.Control(func(fd uintptr) { e = sock.Pass(int(pair), int(fd), note) })
		if failed == nil && e != 0 && e != unix.EAGAIN {
			failed = os.NewSyscallError("sendmsg", e)
		}
		return failed != nil || e == 0
	})
	switch {
	case err != nil || errors.Is(failed, unix.EPIPE): // the pair is closed
		return ErrClosed
	case failed != nil:
		return failed
	}
	return l.post(p, nil)
}
