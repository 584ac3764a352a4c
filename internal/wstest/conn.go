package wstest

import (
	"bufio"
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// DefaultTimeout is how long one read or one write of a [Conn] may take. It is
// generous: it only ends tests that have failed already.
const DefaultTimeout = 15 * time.Second

// A Conn is one end of a TCP connection that speaks WebSocket, or pretends to.
type Conn struct {
	// Timeout bounds each read and each write. Set it before they begin.
	Timeout time.Duration

	// Head is the head of the request or response that the peer sent, up to
	// and with the blank line; "" before the upgrade.
	Head string

	t      testing.TB
	nc     *net.TCPConn
	stream net.Conn // nc, or the TLS on it
	r      *bufio.Reader
	client bool // we play the client: what we send is masked
}

// Connect opens a TCP connection to addr and sends nothing: the start of tests
// of the handshake itself. TCP_NODELAY is on, so that every write is a segment
// as far as the kernel has room.
func Connect(t testing.TB, addr string) *Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, DefaultTimeout)
	if err != nil {
		t.Fatalf("wstest: connect: %v", err)
	}
	return newConn(t, nc.(*net.TCPConn), true)
}

// ConnectFrom is Connect from an address of this machine, as 127.0.0.2.
func ConnectFrom(t testing.TB, local, addr string) *Conn {
	t.Helper()
	d := net.Dialer{Timeout: DefaultTimeout, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("wstest: connect: %v", err)
	}
	return newConn(t, nc.(*net.TCPConn), true)
}

func newConn(t testing.TB, nc *net.TCPConn, client bool) *Conn {
	nc.SetNoDelay(true) // Go's default, but here it is a promise
	t.Cleanup(func() { nc.Close() })
	return &Conn{
		Timeout: DefaultTimeout,
		t:       t,
		nc:      nc,
		stream:  nc,
		r:       bufio.NewReaderSize(nc, 32<<10),
		client:  client,
	}
}

// TCP is the connection underneath, for socket options and addresses. Bytes that
// were received may already be in the Conn's own buffer: do not read from it.
func (c *Conn) TCP() *net.TCPConn { return c.nc }

// IsClient reports whether c plays the client.
func (c *Conn) IsClient() bool { return c.client }

// Encode returns the wire bytes of the frames as the side that c plays sends them.
func (c *Conn) Encode(fs ...Frame) []byte {
	var b []byte
	for _, f := range fs {
		b = f.Append(b, c.client)
	}
	return b
}

// TryWrite writes b as it is, in one write call.
func (c *Conn) TryWrite(b []byte) error {
	c.nc.SetWriteDeadline(time.Now().Add(c.Timeout))
	_, err := c.stream.Write(b)
	return err
}

// TrySend writes the frames in one write call.
func (c *Conn) TrySend(fs ...Frame) error { return c.TryWrite(c.Encode(fs...)) }

// TryChop writes the frames n bytes of wire data at a time, one write call each.
func (c *Conn) TryChop(n int, fs ...Frame) error { return c.TryChopBytes(n, c.Encode(fs...)) }

// TryChopBytes writes b as it is, n bytes at a time.
func (c *Conn) TryChopBytes(n int, b []byte) error {
	for len(b) > 0 {
		k := min(n, len(b))
		if err := c.TryWrite(b[:k]); err != nil {
			return err
		}
		b = b[k:]
	}
	return nil
}

// Write is TryWrite that ends the test if it fails.
func (c *Conn) Write(b []byte) {
	c.t.Helper()
	c.must("write", c.TryWrite(b))
}

// Send is TrySend that ends the test if it fails.
func (c *Conn) Send(fs ...Frame) {
	c.t.Helper()
	c.must("send", c.TrySend(fs...))
}

// Chop is TryChop that ends the test if it fails.
func (c *Conn) Chop(n int, fs ...Frame) {
	c.t.Helper()
	c.must("send", c.TryChop(n, fs...))
}

func (c *Conn) must(verb string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("wstest: %s: %v", verb, err)
	}
}

// Next reads the next frame. The error is a *ViolationError if the peer broke
// the protocol, io.EOF if it closed its side between two frames,
// io.ErrUnexpectedEOF if within one, syscall.ECONNRESET (errors.Is) after a
// reset, os.ErrDeadlineExceeded after Timeout. The payload belongs to the caller.
func (c *Conn) Next() (Frame, error) {
	c.nc.SetReadDeadline(time.Now().Add(c.Timeout))
	return readFrame(c.r, !c.client)
}

// Close closes the connection in order: FIN, or RST if input is unread.
func (c *Conn) Close() { c.nc.Close() }

// CloseWrite sends FIN, with TLS behind close_notify: the peer reads EOF after
// what was sent, we go on reading.
func (c *Conn) CloseWrite() {
	c.t.Helper()
	if s, ok := c.stream.(*tls.Conn); ok {
		c.must("close_notify", s.CloseWrite())
	}
	c.must("half-close", c.nc.CloseWrite())
}

// Reset aborts the connection: the peer sees RST.
func (c *Conn) Reset() {
	c.nc.SetLinger(0)
	c.nc.Close()
}
