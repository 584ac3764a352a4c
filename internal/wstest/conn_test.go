package wstest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
)

func TestMain(m *testing.M) { Main(m) }

// failing is a testing.TB whose Fatalf is seen by its owner and ends nothing but
// the function it was called from.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// verdict runs do on a Conn that reports to a failing, and returns what it said.
func verdict(c *Conn, do func(c *Conn)) string {
	f := &failing{TB: c.t}
	twin := *c
	twin.t = f
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(&twin)
	}()
	<-done
	return f.said
}

// pair is both ends of one upgraded connection.
func pair(t *testing.T) (client, server *Conn) {
	t.Helper()
	ln := Listen(t)
	c := Connect(t, ln.Addr().String())
	c.Write(Request("test", "/ws?x=1", "Origin: http://test"))
	s := AcceptConn(t, ln, "X-Server: wstest")
	c.ExpectUpgraded()
	return c, s
}

func TestUpgrade(t *testing.T) {
	c, s := pair(t)
	if !strings.HasPrefix(s.Head, "GET /ws?x=1 HTTP/1.1\r\nHost: test\r\n") || headerValue(s.Head, "origin") != "http://test" {
		t.Errorf("request head %q", s.Head)
	}
	if headerValue(c.Head, "x-server") != "wstest" {
		t.Errorf("response head %q", c.Head)
	}
}

func TestReadResponse(t *testing.T) {
	ln := Listen(t)
	c := Connect(t, ln.Addr().String())
	s := AcceptRaw(t, ln)
	s.TryChopBytes(3, []byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\n\r\nall of it"))
	s.Close()
	if r := c.ReadResponse(); r.Status != 403 || r.Body != "no" {
		t.Errorf("first: %+v", r)
	}
	if r := c.ReadResponse(); r.Status != 200 || r.Body != "all of it" {
		t.Errorf("second: %+v", r)
	}
	c.ExpectEOF()
}

func TestTalk(t *testing.T) {
	c, s := pair(t)
	c.Chop(1, Text("one"), Ping("p"))
	s.ExpectText("one")
	s.Expect(frame.OpPing, []byte("p"))

	s.Send(Fragments(frame.OpText, []byte("in three pieces"), 5)[:1]...)
	s.Send(Ping("between"), Pong("x"))
	s.Send(Fragments(frame.OpText, []byte("in three pieces"), 5)[1:]...)
	c.ExpectMessage(frame.OpText, []byte("in three pieces"))
	s.ExpectPong("between")

	s.ExpectSilence(time.Millisecond)
	c.Send(Close(frame.CloseNormal, "done"))
	if reason := s.AnswerCloseFrom(frame.CloseNormal); reason != "done" {
		t.Errorf("reason %q", reason)
	}
	c.ExpectClose(frame.CloseNormal)
	c.ExpectEOF()
}

// AnswerCloseFrom is AnswerClose without the wait for EOF, which a client that
// follows section 7.1.1 sends only after the server's.
func (c *Conn) AnswerCloseFrom(code frame.CloseCode) string {
	reason := c.ExpectClose(code)
	c.Send(Close(code, ""))
	c.CloseWrite()
	return reason
}

// Each expectation fails when it is not met: what the peer does, and what is then said.
func TestExpectationsFail(t *testing.T) {
	for _, tc := range []struct {
		name string
		peer func(s *Conn)
		do   func(c *Conn)
		want string
	}{
		{"other text", func(s *Conn) { s.Send(Text("b")) }, func(c *Conn) { c.ExpectText("a") }, `got text 1 bytes "b", want text 1 bytes "a"`},
		{"other opcode", func(s *Conn) { s.Send(Binary([]byte("a"))) }, func(c *Conn) { c.ExpectText("a") }, "got binary"},
		{"fragment", func(s *Conn) { s.Send(Frame{Op: 1, More: true}) }, func(c *Conn) { c.ExpectText("") }, "got text (more)"},
		{"reserved bit", func(s *Conn) { s.Send(Frame{Op: 1, Rsv: 4}) }, func(c *Conn) { c.ExpectText("") }, "rsv=4"},
		{"masked", func(s *Conn) { s.Send(Frame{Op: 1, Mask: MaskAlways}) }, func(c *Conn) { c.ExpectText("") }, "a masked frame, as a server"},
		{"EOF for text", (*Conn).Close, func(c *Conn) { c.ExpectText("a") }, "got EOF, want text"},
		{"half a frame", func(s *Conn) { s.Write([]byte{0x81, 5, 'h'}); s.Close() }, func(c *Conn) { c.ExpectText("hello") }, "unexpected EOF"},
		{"other message", func(s *Conn) { s.Send(Fragments(1, []byte("abc"), 1)...) }, func(c *Conn) { c.ExpectMessage(1, []byte("abd")) }, `want text 3 bytes "abd"`},
		{"new message in a message", func(s *Conn) { s.Send(Frame{Op: 1, More: true}, Text("")) }, func(c *Conn) { c.NextMessage() }, "want a message"},
		{"other code", func(s *Conn) { s.Send(Close(1001, "")) }, func(c *Conn) { c.ExpectClose(1000) }, "got close 1001"},
		{"no close", func(s *Conn) { s.Send(Text("a")) }, func(c *Conn) { c.ExpectClose(1000) }, "want close 1000"},
		{"frame for EOF", func(s *Conn) { s.Send(Text("a")) }, (*Conn).ExpectEOF, "want EOF"},
		{"RST for EOF", (*Conn).Reset, (*Conn).ExpectEOF, "got RST, want EOF"},
		{"close and RST", func(s *Conn) { s.Send(Close(1002, "")); s.nc.Write(nil); s.Reset() }, func(c *Conn) { c.ExpectFail(1002) }, "want"},
		{"noise for silence", func(s *Conn) { s.Write([]byte("x")) }, func(c *Conn) { c.ExpectSilence(DefaultTimeout) }, "want silence"},
		{"silence for text", func(*Conn) {}, func(c *Conn) { c.Timeout = time.Millisecond; c.ExpectText("a") }, os.ErrDeadlineExceeded.Error()},
		{"still there", func(*Conn) {}, func(c *Conn) { c.Timeout = time.Millisecond; c.ExpectGone() }, "still open"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := pair(t)
			tc.peer(s)
			if got := verdict(c, tc.do); !strings.Contains(got, tc.want) {
				t.Errorf("said %q, want %q in it", got, tc.want)
			}
		})
	}
}

func TestExpectGone(t *testing.T) {
	c, s := pair(t)
	s.Send(Text("last words"))
	s.Reset()
	c.ExpectGone()
}
