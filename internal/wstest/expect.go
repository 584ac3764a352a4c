package wstest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/perchws/perch/frame"
)

// Expect reads the next frame, which must have this opcode and payload, be final
// and have no reserved bit set.
func (c *Conn) Expect(op frame.Opcode, payload []byte) {
	c.t.Helper()
	f := c.next(op.String())
	if f.Op != op || f.More || f.Rsv != 0 || !bytes.Equal(f.Payload, payload) {
		c.t.Fatalf("wstest: got %v, want %v", f, Frame{Op: op, Payload: payload})
	}
}

// ExpectText is Expect for a text message in one frame.
func (c *Conn) ExpectText(s string) {
	c.t.Helper()
	c.Expect(frame.OpText, []byte(s))
}

// ExpectPong is Expect for a pong.
func (c *Conn) ExpectPong(s string) {
	c.t.Helper()
	c.Expect(frame.OpPong, []byte(s))
}

// NextMessage reads the next message, in one frame or in fragments. Pings are
// answered and pongs skipped on the way; a close frame ends the test.
func (c *Conn) NextMessage() (frame.Opcode, []byte) {
	c.t.Helper()
	var (
		op  frame.Opcode
		msg []byte
	)
	for {
		f := c.next("a message")
		switch {
		case f.Op == frame.OpPing:
			c.Send(Frame{Op: frame.OpPong, Payload: f.Payload})
			continue
		case f.Op == frame.OpPong:
			continue
		case f.Op == frame.OpClose, f.Rsv != 0, (f.Op == frame.OpContinuation) != (op != 0):
			c.t.Fatalf("wstest: got %v, want a message", f)
		case op == 0:
			op = f.Op
		}
		msg = append(msg, f.Payload...)
		if !f.More {
			return op, msg
		}
	}
}

// ExpectMessage reads the next message, which must be this one, however it is
// fragmented.
func (c *Conn) ExpectMessage(op frame.Opcode, p []byte) {
	c.t.Helper()
	gotOp, got := c.NextMessage()
	if gotOp != op || !bytes.Equal(got, p) {
		c.t.Fatalf("wstest: got %v, want %v", Frame{Op: gotOp, Payload: got}, Frame{Op: op, Payload: p})
	}
}

// ExpectClose reads the next frame, which must be a close frame with this code
// (CloseNoStatus: one without a payload), and returns its reason. Nothing is
// sent.
func (c *Conn) ExpectClose(code frame.CloseCode) (reason string) {
	c.t.Helper()
	f := c.next("close")
	got, reason := f.CloseInfo()
	if f.Op != frame.OpClose || got != code || f.Rsv != 0 {
		c.t.Fatalf("wstest: got %v, want close %d", f, uint16(code))
	}
	return reason
}

// ExpectFail expects the peer to fail the connection (RFC 6455 section 7.1.7): a
// close frame with this code, then EOF although we never answer, and no RST
// that could have destroyed the close frame on its way. It returns the reason.
func (c *Conn) ExpectFail(code frame.CloseCode) (reason string) {
	c.t.Helper()
	reason = c.ExpectClose(code)
	c.ExpectEOF()
	return reason
}

// CloseHandshake closes as a polite peer does: it sends a close frame, expects
// the same code back and then the end of the stream.
func (c *Conn) CloseHandshake(code frame.CloseCode) {
	c.t.Helper()
	c.Send(Close(code, ""))
	c.ExpectClose(code)
	if !c.client {
		c.CloseWrite() // RFC 6455 section 7.1.1: the server closes first
	}
	c.ExpectEOF()
}

// AnswerClose expects the peer to begin the closing handshake with this code,
// answers, and expects the end of the stream. It returns the reason.
func (c *Conn) AnswerClose(code frame.CloseCode) (reason string) {
	c.t.Helper()
	reason = c.ExpectClose(code)
	c.Send(Close(code, ""))
	if !c.client {
		c.CloseWrite() // RFC 6455 section 7.1.1: the server closes first
	}
	c.ExpectEOF()
	return reason
}

// ExpectEOF expects the peer to have nothing more to say: FIN, and not RST.
func (c *Conn) ExpectEOF() {
	c.t.Helper()
	switch f, err := c.Next(); {
	case err == nil:
		c.t.Fatalf("wstest: got %v, want EOF", f)
	case errors.Is(err, syscall.ECONNRESET):
		c.t.Fatalf("wstest: got RST, want EOF")
	case !errors.Is(err, io.EOF):
		c.t.Fatalf("wstest: got %v, want EOF", err)
	}
}

// ExpectGone expects the end of the connection, by FIN or by RST; what still
// arrives before it is dropped.
func (c *Conn) ExpectGone() {
	c.t.Helper()
	deadline := time.Now().Add(c.Timeout)
	c.nc.SetReadDeadline(deadline)
	if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("wstest: still open after %v, want it gone", c.Timeout)
	}
}

// ExpectSilence expects not a byte for d. It always takes d: keep it short, and
// prefer to expect something that comes after.
func (c *Conn) ExpectSilence(d time.Duration) {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(d))
	b, err := c.r.Peek(1)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("wstest: got %q, %v, want silence", b, err)
	}
}

func (c *Conn) next(want string) Frame {
	c.t.Helper()
	f, err := c.Next()
	if err != nil {
		c.t.Fatalf("wstest: got %v, want %s", err, want)
	}
	return f
}
