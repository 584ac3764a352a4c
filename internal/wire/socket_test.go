package wire_test

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wire"
)

// stream is a socket. Each call is written down.
type stream struct {
	in, out bytes.Buffer
	calls   []string
	failAt  int // bytes that a Write takes before it fails with errFull; 0: it does not
}

var errFull = errors.New("full")

func (s *stream) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *stream) Write(p []byte) (int, error) {
	s.calls = append(s.calls, "write "+string(p))
	if s.failAt > 0 {
		s.out.Write(p[:s.failAt])
		return s.failAt, errFull
	}
	return s.out.Write(p)
}

func (s *stream) note(call string) error {
	s.calls = append(s.calls, call)
	return nil
}

func (s *stream) Close() error                     { return s.note("close") }
func (s *stream) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "local"} }
func (s *stream) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "remote"} }
func (s *stream) SetDeadline(time.Time) error      { return s.note("deadline") }
func (s *stream) SetReadDeadline(time.Time) error  { return s.note("read deadline") }
func (s *stream) SetWriteDeadline(time.Time) error { return s.note("write deadline") }

// A wire on a socket is that socket.
func TestSocket(t *testing.T) {
	w, s := new(wire.Wire), new(stream)
	if _, err := w.Read(nil); err != net.ErrClosed {
		t.Errorf("Read of an unused wire: %v", err)
	}
	if _, err := w.Write(nil); err != net.ErrClosed {
		t.Errorf("Write of an unused wire: %v", err)
	}
	w.ToSocket(s, nil)
	if w.Socket() != s || w.LocalAddr().String() != "local" || w.RemoteAddr().String() != "remote" {
		t.Errorf("socket %v, addresses %v, %v", w.Socket(), w.LocalAddr(), w.RemoteAddr())
	}
	s.in.WriteString("input")
	p := make([]byte, 10)
	if n, err := w.Read(p); string(p[:n]) != "input" || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}
	w.Write([]byte("output"))
	w.SetDeadline(time.Now())
	w.SetReadDeadline(time.Now())
	w.SetWriteDeadline(time.Now())
	w.Close()
	want := []string{"write output", "deadline", "read deadline", "write deadline", "close"}
	if !slices.Equal(s.calls, want) {
		t.Errorf("calls %q, want %q", s.calls, want)
	}
}

// What a loop has not sent goes first, and once; and what the socket has not taken goes back to a loop.
func TestSocketFirst(t *testing.T) {
	w, s := new(wire.Wire), new(stream)
	w.ToSocket(s, []byte("first"))
	for _, b := range []string{" one", " two"} {
		if n, err := w.Write([]byte(b)); n != len(b) || err != nil {
			t.Errorf("wrote %d bytes of %q, %v", n, b, err)
		}
	}
	if s.out.String() != "first one two" {
		t.Errorf("sent %q", s.out.String())
	}
	out := &wire.Output{B: []byte("kept ")}
	w.ToLoop(out)
	if string(out.B) != "kept " || len(s.calls) != 3 {
		t.Errorf("output %q after calls %q: the socket is not to be closed", out.B, s.calls)
	}

	w, s = new(wire.Wire), new(stream)
	w.ToSocket(s, []byte("first"))
	w.ToLoop(out)
	if string(out.B) != "kept first" || s.calls != nil {
		t.Errorf("output %q after calls %q", out.B, s.calls)
	}
	if w.Socket() != nil {
		t.Error("a wire on a loop has a socket")
	}
}

// An error of the socket within what goes first is the error of the Write, of which nothing is sent; the rest of what
// goes first stays first.
func TestSocketFirstCut(t *testing.T) {
	w, s := new(wire.Wire), &stream{failAt: 2}
	w.ToSocket(s, []byte("first"))
	if n, err := w.Write([]byte("!")); n != 0 || err != errFull {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	out := new(wire.Output)
	w.ToLoop(out)
	if s.out.String() != "fi" || string(out.B) != "rst" {
		t.Errorf("sent %q, output %q", s.out.String(), out.B)
	}
}
