package wire

import (
	"io"
	"net"
	"sync"
)

// Backlog is how many bytes of input may wait for a handshake: Feed takes no more than that.
const Backlog = 64 << 10

// Sink is what a handshake asks of the loop that has the socket. Its methods are called on the goroutine of the
// handshake, some with the wire's lock held: they must not call the wire, and must not wait for the loop.
type Sink interface {
	// Send has records sent. It keeps no part of p. Error: the loop has ended.
	Send(p []byte) error
	// ReadOn says that the wire has room again, after Feed has said that it has none. Error: the loop has ended.
	ReadOn() error
	// AwaitsPeer says that the handshake waits for input; Continues, that it goes on.
	AwaitsPeer()
	Continues()
}

// handshake is the first life of a wire: crypto/tls runs on a goroutine, and the loop reads and sends for it.
type handshake struct {
	// Immutable after BeginHandshake.
	sink          Sink
	local, remote net.Addr

	mu      sync.Mutex
	more    sync.Cond // something below has changed
	in      []byte    // what the loop has read and crypto/tls has not
	full    bool      // Feed has said that there is no room: the loop does not read until ReadOn
	ended   bool      // in is followed by the end of the input
	aborted bool      // the connection is closed
}

// BeginHandshake begins the first life: a tls.Conn on the wire may call Handshake, on another goroutine than the
// loop's. loop is where records will go after the handshake, and in is input that has come already. It is the wire's
// from now on.
func (w *Wire) BeginHandshake(loop *Output, s Sink, in []byte, local, remote net.Addr) {
	h := &handshake{sink: s, local: local, remote: remote, in: in, full: len(in) >= Backlog}
	h.more.L = &h.mu
	w.change(inHandshake)
	w.out, w.handshake = loop, h
}

// EndHandshake puts a wire whose handshake has returned on the loop. rest is the input that crypto/tls has not read.
// Of the loop.
func (w *Wire) EndHandshake() (rest []byte) {
	w.out.check()
	w.change(onLoop)
	rest = w.handshake.in
	w.handshake = nil
	return rest
}

// Room is how many bytes Feed may be given. Of the loop, in a handshake.
func (w *Wire) Room() int {
	w.out.check()
	h := w.handshake
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(Backlog-len(h.in), 0)
}

// Feed gives a copy of b, at most Room bytes, to the handshake. It reports whether there is room for more; if not,
// Sink.ReadOn or the end of the handshake says when to go on. Of the loop, in a handshake.
func (w *Wire) Feed(b []byte) bool {
	w.out.check()
	h := w.handshake
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = append(h.in, b...)
	h.full = len(h.in) >= Backlog
	h.more.Signal()
	return !h.full
}

// EndInput says that the peer sends no more: after what has come, Read returns io.EOF. Of the loop, in a handshake.
func (w *Wire) EndInput() {
	w.out.check()
	h := w.handshake
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.more.Signal()
}

// Abort ends a handshake, if one is under way: the connection is closed, and a Read returns net.ErrClosed. Of the loop.
func (w *Wire) Abort() {
	w.out.check()
	h := w.handshake
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aborted = true
	h.more.Signal()
}

// read waits for input. An aborted handshake still reads what has come.
func (h *handshake) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.in) == 0 {
		h.sink.AwaitsPeer()
		defer h.sink.Continues()
	}
	for len(h.in) == 0 {
		switch {
		case h.aborted:
			return 0, net.ErrClosed
		case h.ended:
			return 0, io.EOF
		case h.full:
			h.full = false
			if err := h.sink.ReadOn(); err != nil {
				return 0, io.ErrClosedPipe
			}
		}
		h.more.Wait()
	}
	n := copy(p, h.in)
	if h.in = h.in[n:]; len(h.in) == 0 {
		h.in = nil
	}
	return n, nil
}

func (h *handshake) write(p []byte) (int, error) {
	if err := h.sink.Send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}
