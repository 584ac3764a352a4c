//go:build linux

package perch

import (
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// passage carries sockets between a loop and net/http: through a pair of unix sockets, which works out of a private
// descriptor table and into one. The facts about each socket wait in memory, in the same order.
//
// Passing a descriptor makes a copy of it at the other end, and the sender keeps its own. So a socket has two
// descriptors for a while, and the connection ends when both are closed. Each descriptor is closed in one place:
//
//	on the way out
//	the loop's          reap, as for every slot; never with a RST, which would end the connection for net/http
//	what receive has    web.open, when net.FileConn has made a copy; the kernel, if no number was free for it
//	that copy           webConn.Close, which net/http calls
//
//	on the way in
//	net/http's          takeOver, when the socket is in the pair; until then it is webConn.Close, or that of the
//	                    foreign server
//	the loop's          reap, when it has a slot; takeoverArrived, if it gets none; the kernel, if no number was free
//
// When both ends of the pair are closed, the kernel closes the descriptors that are still in it.
type passage struct {
	outer *net.UnixConn // net/http's end; the loop's is loop.http.pair

	mu  sync.Mutex
	out []handoff // facts of the sockets that are on their way out

	entry sync.Mutex // a socket on its way in and its post must stay in the same order
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

// send passes a socket out. Only for the loop.
func (w *passage) send(pair, fd int, h handoff) unix.Errno {
	w.mu.Lock()
	w.out = append(w.out, h) // first: the socket may be received before Pass returns
	w.mu.Unlock()
	e := sock.Pass(pair, fd, note)
	if e != 0 {
		w.mu.Lock() // it is still the last, and nobody has received it, because no socket came
		w.out = w.out[:len(w.out)-1]
		w.mu.Unlock()
	}
	return e
}

// receive waits for the next socket on its way out. The caller must close fd; −1: no descriptor was free for it. An
// error means that the loop's end is closed.
func (w *passage) receive() (fd int, h handoff, err error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := w.outer.ReadMsgUnix(b[:], oob)
	if err == nil && n == 0 {
		err = net.ErrClosed
	}
	if err != nil {
		return -1, h, err
	}
	w.mu.Lock()
	h = w.out[0]
	w.out[0] = handoff{}
	if w.out = w.out[1:]; len(w.out) == 0 {
		w.out = nil
	}
	w.mu.Unlock()
	fd, ok := sock.Rights(oob[:oobn])
	if !ok {
		fd = -1
	}
	return fd, h, nil
}

// enter passes a socket in, and then posts to the loop that it comes. The caller still owns its descriptor. enter waits
// while the pair is full. Any goroutine but a loop's. Errors: of the system; ErrClosed when the loop has ended.
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
	return l.put(p, nil)
}
