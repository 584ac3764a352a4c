package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wire"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// sink is the loop that has the socket, for a handshake.
type sink struct {
	mu     sync.Mutex
	sent   []byte
	awaits int           // AwaitsPeer without Continues
	stalls int           // AwaitsPeer
	readOn chan struct{} // one for each ReadOn
	read   chan struct{} // one for each AwaitsPeer
	wrote  chan struct{} // has one if sent has grown
	gone   error         // what Send and ReadOn return
}

func newSink() *sink {
	return &sink{readOn: make(chan struct{}, 1<<16), read: make(chan struct{}, 1<<20), wrote: make(chan struct{}, 1)}
}

func (s *sink) Send(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.sent = append(s.sent, p...)
		signal(s.wrote)
	}
	return s.gone
}

func (s *sink) ReadOn() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOn <- struct{}{}
	return s.gone
}

func (s *sink) AwaitsPeer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaits++
	s.stalls++
	s.read <- struct{}{}
}

func (s *sink) Continues() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaits--
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// take is what was sent since the last take.
func (s *sink) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.sent
	s.sent = nil
	return b
}

// address is the address of nobody.
var address = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:443"))

// begun is a wire in a handshake.
func begun(s *sink, in []byte) (*wire.Wire, *wire.Output) {
	w, out := new(wire.Wire), new(wire.Output)
	w.BeginHandshake(out, s, in, address, address)
	return w, out
}

type result struct {
	b   []byte
	err error
}

// reading is a Read of at most n bytes on a goroutine.
func reading(w *wire.Wire, n int) <-chan result {
	done := make(chan result, 1)
	go func() {
		p := make([]byte, n)
		n, err := w.Read(p)
		done <- result{p[:n], err}
	}()
	return done
}

// A Read in a handshake waits for input, and takes it in order in pieces of any size.
func TestHandshakeReads(t *testing.T) {
	s := newSink()
	w, _ := begun(s, []byte("ab"))
	p := make([]byte, 10)
	if n, err := w.Read(p[:1]); string(p[:n]) != "a" || err != nil {
		t.Fatalf("read %q, %v", p[:n], err)
	}
	if !w.Feed([]byte("cd")) {
		t.Error("no room behind 3 bytes")
	}
	if n, err := w.Read(p); string(p[:n]) != "bcd" || err != nil {
		t.Fatalf("read %q, %v", p[:n], err)
	}
	if s.stalls != 0 {
		t.Error("the peer was awaited, and its input was there")
	}
	got := reading(w, 10)
	wstest.Receive(t, "AwaitsPeer", s.read)
	w.Feed([]byte("e"))
	if r := wstest.Receive(t, "a Read", got); string(r.b) != "e" || r.err != nil {
		t.Fatalf("read %q, %v", r.b, r.err)
	}
	if s.awaits != 0 {
		t.Error("the handshake goes on, and nobody was told")
	}
	w.Feed([]byte("rest"))
	if rest := w.EndHandshake(); string(rest) != "rest" {
		t.Errorf("the rest is %q", rest)
	}
}

// A handshake keeps no more than Backlog, and asks for more when it has read all.
func TestHandshakeBacklog(t *testing.T) {
	s := newSink()
	w, _ := begun(s, make([]byte, wire.Backlog-3))
	if w.Room() != 3 {
		t.Fatalf("room for %d bytes", w.Room())
	}
	if w.Feed([]byte("ab")) != true || w.Feed([]byte("c")) != false || w.Room() != 0 {
		t.Errorf("room for %d bytes in a full one", w.Room())
	}
	p := make([]byte, wire.Backlog)
	if n, err := io.ReadFull(w, p); n != len(p) || err != nil || len(s.readOn) != 0 {
		t.Fatalf("read %d bytes, %v; asked for more %d times before it had to", n, err, len(s.readOn))
	}
	got := reading(w, 1)
	wstest.Receive(t, "ReadOn", s.readOn)
	wstest.Receive(t, "AwaitsPeer", s.read)
	w.Feed([]byte("d"))
	wstest.Receive(t, "a Read", got)
	got = reading(w, 1)
	wstest.Receive(t, "AwaitsPeer", s.read)
	w.Feed([]byte("e"))
	wstest.Receive(t, "a Read", got)
	if len(s.readOn) != 0 {
		t.Error("asked for more again, and nobody had stopped reading")
	}
	w, _ = begun(s, make([]byte, wire.Backlog))
	if w.Room() != 0 {
		t.Error("room in a wire that begins full")
	}
	io.ReadFull(w, p)
	got = reading(w, 1)
	wstest.Receive(t, "ReadOn of a wire that begins full", s.readOn)
	w.Abort()
	wstest.Receive(t, "a Read", got)
}

// The end of the input comes behind what has come; an abort too; a loop that has ended is an error.
func TestHandshakeEnds(t *testing.T) {
	gone := errors.New("gone")
	for _, tc := range []struct {
		name  string
		end   func(w *wire.Wire)
		want  error
		after error // of the next Read
	}{
		{"end of input", (*wire.Wire).EndInput, io.EOF, io.EOF},
		{"abort", (*wire.Wire).Abort, net.ErrClosed, net.ErrClosed},
		{"abort behind the end", func(w *wire.Wire) { w.EndInput(); w.Abort() }, net.ErrClosed, net.ErrClosed},
	} {
		s := newSink()
		w, _ := begun(s, nil)
		got := reading(w, 1)
		wstest.Receive(t, "AwaitsPeer", s.read)
		tc.end(w)
		if r := wstest.Receive(t, "a Read that waits", got); len(r.b) != 0 || (r.err != tc.want && r.err != io.EOF) {
			t.Errorf("%s: a Read that waits has %q, %v", tc.name, r.b, r.err)
		}
		if n, err := w.Read(make([]byte, 1)); n != 0 || err != tc.after {
			t.Errorf("%s: the next Read has %d bytes, %v", tc.name, n, err)
		}
		w, _ = begun(s, []byte("last"))
		tc.end(w)
		p := make([]byte, 10)
		if n, err := w.Read(p); string(p[:n]) != "last" || err != nil {
			t.Errorf("%s: what had come is read as %q, %v", tc.name, p[:n], err)
		}
		if n, err := w.Read(p); n != 0 || err != tc.want {
			t.Errorf("%s: then %d bytes, %v", tc.name, n, err)
		}
	}
	s := newSink()
	s.gone = gone
	w, _ := begun(s, make([]byte, wire.Backlog))
	if _, err := w.Write([]byte("x")); err != gone {
		t.Errorf("Write for a loop that has ended: %v", err)
	}
	io.ReadFull(w, make([]byte, wire.Backlog))
	if _, err := w.Read(make([]byte, 1)); err != io.ErrClosedPipe {
		t.Errorf("Read for a loop that has ended: %v", err)
	}
	for _, err := range []error{
		w.Close(), w.SetDeadline(time.Now()), w.SetReadDeadline(time.Now()), w.SetWriteDeadline(time.Now()),
	} {
		if err != nil {
			t.Errorf("crypto/tls may call it, and nothing is to happen: %v", err)
		}
	}
	if w.LocalAddr() != address || w.RemoteAddr() != address {
		t.Errorf("addresses %v, %v", w.LocalAddr(), w.RemoteAddr())
	}
	w.EndHandshake()
	w.Abort() // none is under way
}

// The loop feeds while the handshake reads: all arrives, in order, and no more waits than may.
func TestHandshakeTwoGoroutines(t *testing.T) {
	s := newSink()
	w, _ := begun(s, nil)
	sent := make([]byte, 2<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	got := make(chan result, 1)
	go func() {
		b, err := io.ReadAll(w)
		w.Write([]byte("over"))
		got <- result{b, err}
	}()
	for i, b := 0, sent; len(b) > 0; i++ {
		n := min(1+i*7919%5000, w.Room(), len(b))
		if !w.Feed(b[:n]) {
			wstest.Receive(t, "ReadOn", s.readOn)
		}
		b = b[n:]
	}
	w.EndInput()
	if r := wstest.Receive(t, "all", got); r.err != nil || !bytes.Equal(r.b, sent) {
		t.Errorf("%d bytes arrived of %d, %v", len(r.b), len(sent), r.err)
	}
	if b := s.take(); string(b) != "over" || s.awaits != 0 {
		t.Errorf("sent %q; awaits the peer %d times", b, s.awaits)
	}
	w.EndHandshake()
}
