package wire_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wire"
	"github.com/perchws/perch/internal/wstest"
)

// peer is the connection below the client's tls.Conn: what the client writes gathers, and it reads what it is given.
type peer struct {
	net.Conn // nil: the rest is not used

	mu      sync.Mutex
	more    sync.Cond
	in, out []byte
	wrote   chan struct{} // has one if out has grown
}

func newPeer() *peer {
	p := &peer{wrote: make(chan struct{}, 1)}
	p.more.L = &p.mu
	return p
}

func (p *peer) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.in) == 0 {
		p.more.Wait()
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	signal(p.wrote)
	return len(b), nil
}

// take is what the client has written since the last take.
func (p *peer) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.out
	p.out = nil
	return b
}

func (p *peer) SetWriteDeadline(time.Time) error { return nil }

// give is what the client reads next.
func (p *peer) give(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = append(p.in, b...)
	p.more.Signal()
}

// session is a server's TLS on a wire and a client's, after their handshake. The test is the loop.
type session struct {
	t              *testing.T
	w              *wire.Wire
	out            *wire.Output
	peer           *peer
	server, client *tls.Conn
}

// eachVersion calls f with configurations for each version of TLS.
func eachVersion(t *testing.T, f func(t *testing.T, server, client *tls.Config)) {
	ca := wstest.NewAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("perch.test")}}
	for name, v := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			f(t, server, &tls.Config{RootCAs: ca.Pool, ServerName: "perch.test", MinVersion: v, MaxVersion: v})
		})
	}
}

// handshaken runs a handshake whose input comes in pieces of so many bytes.
func handshaken(t *testing.T, server, client *tls.Config, piece int) *session {
	t.Helper()
	s, p := newSink(), newPeer()
	c := &session{t: t, peer: p}
	c.w, c.out = begun(s, nil)
	c.server, c.client = tls.Server(c.w, server), tls.Client(p, client)
	served, dialled := make(chan error, 1), make(chan error, 1)
	go func() { served <- c.server.Handshake() }()
	go func() { dialled <- c.client.Handshake() }()
	for running := true; running; {
		select {
		case <-p.wrote:
			for b := p.take(); len(b) > 0; {
				n := min(piece, len(b))
				c.w.Feed(b[:n])
				b = b[n:]
			}
		case <-s.wrote:
			p.give(s.take())
		case err := <-served:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		}
	}
	p.give(s.take())
	if err := wstest.Receive(t, "the client's handshake", dialled); err != nil {
		t.Fatal(err)
	}
	if rest := c.w.EndHandshake(); len(rest) > 0 {
		t.Fatalf("%d bytes behind the handshake, and the client has sent nothing", len(rest))
	}
	return c
}

// says is the records of what the client says.
func (c *session) says(text string) []byte {
	c.t.Helper()
	if _, err := io.WriteString(c.client, text); err != nil {
		c.t.Fatal(err)
	}
	return c.peer.take()
}

// opens has the server open the records in b as a loop does: until it is drained, or has another error.
func (c *session) opens(b []byte) (text string, err error) {
	var p [100]byte
	var all []byte
	c.w.SetInput(b)
	defer c.w.SetInput(nil)
	for err == nil {
		var n int
		n, err = c.server.Read(p[:])
		all = append(all, p[:n]...)
	}
	return string(all), err
}

// answers has the server say text, and the client read it.
func (c *session) answers(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.server, text); err != nil {
		c.t.Fatal(err)
	}
	c.peer.give(c.out.B)
	c.out.B = c.out.B[:0]
	p := make([]byte, len(text))
	if _, err := io.ReadFull(c.client, p); err != nil || string(p) != text {
		c.t.Fatalf("the client reads %q, %v", p, err)
	}
}

// A handshake's input may come in any pieces.
func TestTLSHandshakeCut(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		for _, piece := range []int{1, 2, 5, 100, 1 << 20} {
			c := handshaken(t, server, client, piece)
			if text, err := c.opens(c.says("hello")); text != "hello" || err != wire.ErrDrained {
				t.Errorf("pieces of %d: read %q, %v", piece, text, err)
			}
			c.answers("good day")
		}
	})
}

// Records may be cut anywhere: crypto/tls goes on behind ErrDrained where it was.
func TestTLSRecordsCut(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		c := handshaken(t, server, client, 1<<20)
		size := 0
		for cut := 0; cut <= size; cut++ {
			b := append(c.says("first"), c.says("second")...)
			size = len(b)
			one, err := c.opens(b[:cut])
			if err != wire.ErrDrained {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			two, err := c.opens(b[cut:])
			if one+two != "firstsecond" || err != wire.ErrDrained {
				t.Fatalf("cut at %d: read %q and %q, %v", cut, one, two, err)
			}
		}
		all, text := strings.Repeat("0123456789", 5000), ""
		for _, one := range c.says(all) {
			part, err := c.opens([]byte{one})
			if text += part; err != wire.ErrDrained {
				t.Fatal(err)
			}
		}
		if text != all {
			t.Errorf("byte by byte %d bytes arrive of %d", len(text), len(all))
		}
		c.answers(all)
	})
}

// The end that the client notifies, and a record that is forged, are errors that stay.
func TestTLSEnds(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		c := handshaken(t, server, client, 1<<20)
		last := c.says("last")
		c.client.CloseWrite()
		if text, err := c.opens(append(last, c.peer.take()...)); text != "last" || err != io.EOF {
			t.Errorf("close_notify behind a record: read %q, %v", text, err)
		}
		if _, err := c.opens(nil); err != io.EOF {
			t.Errorf("behind close_notify: %v", err)
		}
		c.answers("still there")

		c = handshaken(t, server, client, 1<<20)
		b := c.says("forged")
		b[len(b)-1] ^= 1
		text, err := c.opens(b)
		if text != "" || err == nil || err == io.EOF || err == wire.ErrDrained {
			t.Errorf("a forged record: read %q, %v", text, err)
		}
		if len(c.out.B) == 0 {
			t.Error("no alert")
		}
	})
}

// A handshake that is aborted, or whose input ends, ends.
func TestTLSHandshakeEnds(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		for _, tc := range []struct {
			end  func(w *wire.Wire)
			want error
		}{{(*wire.Wire).EndInput, io.EOF}, {(*wire.Wire).Abort, net.ErrClosed}} {
			s := newSink()
			w, _ := begun(s, nil)
			over := make(chan error, 1)
			go func() { over <- tls.Server(w, server).Handshake() }()
			wstest.Receive(t, "AwaitsPeer", s.read)
			tc.end(w)
			if err := wstest.Receive(t, "the handshake's end", over); !errors.Is(err, tc.want) {
				t.Errorf("the handshake ends with %v, want %v", err, tc.want)
			}
			w.EndHandshake()
		}
	})
}

// TLS goes from a loop to a socket within a record, and back; what the loop had not sent goes first.
func TestTLSMoves(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		c := handshaken(t, server, client, 1<<20)
		for range 3 {
			half := c.says("on the loop")
			if text, err := c.opens(half[:7]); text != "" || err != wire.ErrDrained {
				t.Fatalf("half a record: read %q, %v", text, err)
			}
			io.WriteString(c.server, "unsent, ")
			s := &stream{}
			s.in.Write(half[7:])
			c.w.ToSocket(s, bytes.Clone(c.out.B))
			c.out.B = c.out.B[:0]
			p := make([]byte, 100)
			if n, err := c.server.Read(p); string(p[:n]) != "on the loop" || err != nil {
				t.Fatalf("on the socket: read %q, %v", p[:n], err)
			}
			io.WriteString(c.server, "from the socket")
			c.peer.give(s.out.Bytes())
			p = p[:len("unsent, from the socket")]
			if _, err := io.ReadFull(c.client, p); string(p) != "unsent, from the socket" || err != nil {
				t.Fatalf("the client reads %q, %v", p, err)
			}
			c.w.ToLoop(c.out)
			if text, err := c.opens(c.says("back")); text != "back" || err != wire.ErrDrained {
				t.Fatalf("back on the loop: read %q, %v", text, err)
			}
			c.answers("good day")
		}
	})
}

// FuzzRecordsCut has records come in pieces of any sizes: what the client says arrives, and each piece says that it is
// all. An odd size is followed by an answer of the server.
func FuzzRecordsCut(f *testing.F) {
	f.Add([]byte("a message"), []byte{1, 2, 3, 250})
	f.Add(bytes.Repeat([]byte("0123456789"), 4000), []byte{255, 0, 7})
	ca := wstest.NewAuthority(f)
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("perch.test")}}
	client := &tls.Config{RootCAs: ca.Pool, ServerName: "perch.test"}
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		if len(text) == 0 {
			return // it makes no record
		}
		c := handshaken(t, server, client, 1<<20)
		b := c.says(string(text))
		got := ""
		for len(b) > 0 {
			n := len(b)
			if len(cuts) > 0 {
				n, cuts = min(n, 1+int(cuts[0])), cuts[1:]
			}
			part, err := c.opens(bytes.Clone(b[:n]))
			if err != wire.ErrDrained {
				t.Fatal(err)
			}
			got += part
			if b = b[n:]; n%2 == 1 {
				c.answers("so far")
			}
		}
		if got != string(text) {
			t.Errorf("%d bytes arrive of %d", len(got), len(text))
		}
	})
}
