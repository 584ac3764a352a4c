//go:build linux

package perch

import (
	"net/netip"
	"unicode/utf8"

	"github.com/perchws/perch/frame"
)

// Conn is one WebSocket connection, inside a callback of its loop. It is a small comparable value; to reach the
// connection later or from elsewhere keep its [Conn.Ref]. The zero Conn is a connection that is closed. No method
// blocks. On another goroutine every method except Ref, ID and Member panics, in every build, because only the loop may
// touch the state. The command cmd/perchvet finds a Conn that leaves its callback without running the program.
type Conn struct {
	l    *loop
	slot uint32
	gen  uint32
}

// misused panics because another goroutine than the loop's has called a method. That is a bug of the program, like a
// concurrent write to a map; the loop's own state is untouched. Any goroutine.
func (c Conn) misused() {
	panic("perch: Conn used outside its callback; keep Ref")
}

// live returns the slot if the connection takes messages.
func (c Conn) live() *slot {
	if c.l == nil {
		return nil
	}
	if !c.l.thread.home.Here() {
		c.misused()
	}
	s := c.l.cork.slot
	if c.slot != c.l.cork.of { // the cork nearly always belongs to this connection
		s = c.l.slab.find(c.slot)
	}
	if s != nil && s.gen.Load() == c.gen && s.state == stateOpen {
		return s
	}
	return nil
}

// present returns the slot if the connection has not been reaped.
func (c Conn) present() *slot {
	if c.l == nil {
		return nil
	}
	if !c.l.thread.home.Here() {
		c.misused()
	}
	if s := c.l.slab.find(c.slot); s != nil && s.gen.Load() == c.gen {
		return s
	}
	return nil
}

// Send queues one message, text or binary. p is copied. All messages queued in a tick leave in one write. Send and
// Ref.Send trust the caller that text is UTF-8, because most text that arrives as bytes has been checked already;
// SendText, Prepare and publishing check it. Errors: ErrClosed, ErrOpcode, ErrSlowConsumer, ErrOverloaded.
func (c Conn) Send(op Opcode, p []byte) error {
	// The short way, for an answer within the connection's own event, with nothing queued before it. (At 16 messages an
	// event it takes a third of our own time.)
	if l := c.l; l != nil && l.thread.home.Here() && c.slot == l.cork.of { // otherwise live finds the reason
		if s := l.cork.slot; s.gen.Load() == c.gen && s.state == stateOpen && s.cold == 0 && s.flags&flagClient == 0 &&
			(s.flags&flagDeflate == 0 || len(p) < l.compression.threshold) && op.IsData() && len(p) <= cap(l.cork.buf)-len(l.cork.buf)-frame.MaxHeaderSize {
			l.cork.buf = frame.AppendFrame(l.cork.buf, op, p)
			l.stats.MessagesSent++
			return nil
		}
	}
	s := c.live()
	if s == nil {
		return ErrClosed
	}
	if !op.IsData() {
		return ErrOpcode
	}
	return c.l.send(c.slot, s, op, p)
}

// SendText sends a string, as Send does. The string must be UTF-8: ErrUTF8.
func (c Conn) SendText(p string) error {
	if !utf8.ValidString(p) {
		return ErrUTF8
	}
	return c.Send(Text, stringBytes(p))
}

// SendPrepared queues a message without copying it. Errors are those of Send, and p.Err.
func (c Conn) SendPrepared(p *Prepared) error {
	s := c.live()
	if s == nil {
		return ErrClosed
	}
	if err := p.Err(); err != nil {
		return err
	}
	return c.l.sendPrepared(c.slot, s, p)
}

// Close begins the closing handshake (RFC 6455 §7.1.2) behind the queued output. The peer has CloseTimeout to answer;
// the time begins when the peer has taken that output, or takes no more of it. Messages that still arrive are not
// delivered. reason is cut to 123 bytes. Errors: ErrClosed, ErrCloseCode.
func (c Conn) Close(code CloseCode, reason string) error {
	s := c.live()
	if s == nil {
		return ErrClosed
	}
	if !code.Valid() {
		return ErrCloseCode
	}
	c.l.closeOpen(c.slot, s, &CloseError{Code: code, Reason: reason})
	return nil
}

// Value is the value that SetValue, or OnUpgrade's Response, has set; nil otherwise.
func (c Conn) Value() any {
	if c.present() == nil {
		return nil
	}
	return c.l.slab.values.get(c.slot)
}

// SetValue keeps v with the connection until OnClose has returned.
func (c Conn) SetValue(v any) {
	if c.present() != nil {
		c.l.slab.values.set(c.slot, v)
	}
}

// RemoteAddr is the address of the socket's other end. That is a proxy's address behind a proxy that does not speak the
// PROXY protocol (see Request.RemoteAddr). It asks the kernel. It is the zero value if the peer is gone, or the socket
// is a unix one.
func (c Conn) RemoteAddr() netip.AddrPort {
	s := c.present()
	if s == nil || s.fd < 0 {
		return netip.AddrPort{}
	}
	return c.l.peerAddr(c.slot, s)
}

// peerAddr is the other end of the connection, as a PROXY header or the kernel
// tells it.
func (l *loop) peerAddr(i uint32, s *slot) netip.AddrPort {
	l.own.Check()
	if a := l.slab.proxied.Get(i); a.IsValid() {
		return a
	}
	return l.kernel.PeerAddr(int(s.fd))
}

// Queued is the number of bytes queued for the peer that the kernel has not taken yet.
func (c Conn) Queued() int {
	s := c.present()
	if s == nil {
		return 0
	}
	n := 0
	if cold := c.l.slab.coldOf(s); cold != nil {
		n = cold.out.Len()
	}
	if c.l.cork.of == c.slot {
		n += len(c.l.cork.buf)
	}
	return n
}

// ID names the connection for ever. Any goroutine.
func (c Conn) ID() ID { return c.Ref().ID() }

// Ref is the handle for other goroutines, and for later. Any goroutine.
func (c Conn) Ref() Ref { return Ref(c) }
