//go:build linux

package perch

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/perchws/perch/pool"
)

// wire is the net.Conn below a tls.Conn. It changes sides, when no call of it is
// under way:
//
//	handshake   a goroutine's: Read waits for what the loop has read, Write posts to the loop
//	loop        Read takes what the loop has read and does not wait, Write adds to what
//	            the loop will send and does not fail
//	net/http    goroutines': Read and Write are those of the socket
//
// The descriptor is the loop's but in the last.
type wire struct {
	conn *tls.Conn // immutable

	// Owned by net/http, and nil on a loop.
	socket net.Conn
	unsent []byte // records that come first

	// Owned by the loop, which it changes by way of net/http.
	l    *loop
	in   []byte       // what it has read and crypto/tls has not; nil outside unseal
	out  *pool.Buffer // records that the socket has not taken; nil: none
	sent int          // bytes of out that it has
	last bool         // no record may follow: close_notify or a fatal alert is sealed
	over bool         // close_notify has come, behind input that is kept
	bare bool         // the record buffers are given back, see strip

	feed *feed // nil: the handshake is over
}

// feed is how the goroutine of a handshake gets what its loop reads.
type feed struct {
	// Immutable after newFeed.
	ref           Ref
	local, remote net.Addr
	turns         *turns  // nil: nobody waits for its turn
	share         addrKey // whose turn it is

	err error // of the handshake; written before postSecured, read after it

	mu   sync.Mutex
	more sync.Cond
	in   []byte
	full bool // the loop does not read until the goroutine is hungry
	last bool // in is followed by the end of the input
	over bool // the connection is closed
}

// feedSize is how much of a handshake's input may wait, in bytes. It is at most
// a read of the loop, so that what is left of it is opened like one.
const feedSize = readBudget

// drainedError ends a Read that would have to wait. crypto/tls gives a
// connection up for any other error of a read; this one says Temporary, and it
// goes on with the next Read where it was.
type drainedError struct{}

func (drainedError) Error() string   { return "perch: no more input yet" }
func (drainedError) Timeout() bool   { return true }
func (drainedError) Temporary() bool { return true }

var errDrained net.Error = drainedError{}

// newWire makes the wire of a connection whose handshake begins with the input
// in.
func newWire(ref Ref, in []byte, local, remote net.Addr) *wire {
	f := &feed{ref: ref, in: in, local: local, remote: remote}
	f.more.L = &f.mu
	return &wire{l: ref.l, feed: f}
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if w.socket != nil {
		return w.socket.Read(p)
	}
	if f := w.feed; f != nil {
		return f.read(p)
	}
	if len(w.in) == 0 {
		return 0, errDrained
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.socket != nil {
		return w.writeSocket(p)
	}
	if f := w.feed; f != nil {
		if err := f.ref.l.post(post{kind: postSealed, slot: f.ref.slot, gen: f.ref.gen}, p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	w.l.tls.sealed = append(w.l.tls.sealed, p...)
	return len(p), nil
}

// writeSocket sends first what a loop has sealed and not sent.
func (w *wire) writeSocket(p []byte) (int, error) {
	if len(w.unsent) > 0 {
		n, err := w.socket.Write(w.unsent)
		if w.unsent = w.unsent[n:]; err != nil {
			return 0, err
		}
		w.unsent = nil
	}
	return w.socket.Write(p)
}

// leave gives the wire from net/http to a loop. The socket is returned: the loop
// gets a descriptor of its own.
func (w *wire) leave(l *loop) net.Conn {
	socket := w.socket
	w.socket, w.l = nil, l
	return socket
}

// Close implements net.Conn. A loop's connections are closed by it alone.
func (w *wire) Close() error {
	if w.socket != nil {
		return w.socket.Close()
	}
	return nil
}

// LocalAddr implements net.Conn, for callbacks of the handshake.
func (w *wire) LocalAddr() net.Addr {
	if w.socket != nil {
		return w.socket.LocalAddr()
	}
	if f := w.feed; f != nil {
		return f.local
	}
	return &net.TCPAddr{}
}

// RemoteAddr implements net.Conn, for callbacks of the handshake.
func (w *wire) RemoteAddr() net.Addr {
	if w.socket != nil {
		return w.socket.RemoteAddr()
	}
	if f := w.feed; f != nil {
		return f.remote
	}
	return &net.TCPAddr{}
}

// SetDeadline implements net.Conn. A loop keeps the time by itself.
func (w *wire) SetDeadline(t time.Time) error {
	if w.socket != nil {
		return w.socket.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.socket != nil {
		return w.socket.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.socket != nil {
		return w.socket.SetWriteDeadline(t)
	}
	return nil
}

func (f *feed) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.in) == 0 && f.turns != nil {
		f.turns.rest(f)
		defer f.turns.work(f)
	}
	for len(f.in) == 0 {
		if f.over {
			return 0, net.ErrClosed
		}
		if f.last {
			return 0, io.EOF
		}
		if f.full {
			f.full = false
			if err := f.ref.l.post(post{kind: postHungry, slot: f.ref.slot, gen: f.ref.gen}, nil); err != nil {
				return 0, io.ErrClosedPipe
			}
		}
		f.more.Wait()
	}
	n := copy(p, f.in)
	if f.in = f.in[n:]; len(f.in) == 0 {
		f.in = nil
	}
	return n, nil
}

// room is how much more put may take. Of the loop.
func (f *feed) room() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return feedSize - len(f.in)
}

// put gives the goroutine a copy of b. It reports whether there is room for more;
// if not, postHungry or the end of the handshake says when to go on.
func (f *feed) put(b []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in = append(f.in, b...)
	f.full = len(f.in) >= feedSize
	f.more.Signal()
	return !f.full
}

// end says that the peer sends no more.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = true
	f.more.Signal()
}

// abort ends the goroutine: the connection is closed.
func (f *feed) abort() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.more.Signal()
}

// rest is what the handshake has not read.
func (f *feed) rest() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.in
}
