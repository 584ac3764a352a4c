// Package wire is a WebSocket Client that sends bytes, right or wrong, and reads frames.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Patience is how long a server may take to answer.
const Patience = 3 * time.Second

// Client is one connection.
type Client struct {
	net.Conn
	r      *bufio.Reader
	Header http.Header // of the answer
}

// Open connects and upgrades.
func Open(addr, path string, headers ...string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, err
	}
	return Upgrade(conn, path, headers...)
}

// Upgrade sends the request, with more headers ("Name: value"), and reads the answer.
func Upgrade(conn net.Conn, path string, headers ...string) (*Client, error) {
	c := &Client{Conn: conn, r: bufio.NewReader(conn)}
	_ = c.SetDeadline(time.Now().Add(Patience))
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, h := range headers {
		request += h + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return nil, errors.Join(fmt.Errorf("upgrade: %s", resp.Status), c.Close())
	}
	c.Header = resp.Header
	return c, c.SetDeadline(time.Time{})
}

// Opcodes of RFC 6455 5.2.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xA
	Fin          = 0x80
	RSV1         = 0x40
)

// Mask is the key of all frames.
var Mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// Frame is a masked frame with this first byte.
func Frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, Mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^Mask[i%4])
	}
	return b
}

// Received is a frame of the server.
type Received struct {
	First   byte // FIN, reserved bits, opcode
	Payload string
}

// Read returns the next frame. It must come whole, in 256 MiB at most.
func (c *Client) Read() (Received, error) {
	var h [2]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return Received{}, err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return Received{}, err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return Received{}, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if n > 1<<28 {
		return Received{}, fmt.Errorf("a frame of %d bytes", n)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(c.r, p)
	return Received{h[0], string(p)}, err
}

// Answer sends bytes and says in a few words what the server makes of them: the
// messages that come back, "close CODE", "no close frame" if the connection just
// ends, "no answer" if nothing comes.
func (c *Client) Answer(b []byte) string {
	_ = c.SetDeadline(time.Now().Add(Patience))
	if _, err := c.Write(b); err != nil {
		return "no close frame"
	}
	f, err := c.Read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "no close frame"
	case err != nil:
		return err.Error()
	}
	return f.String()
}

func (f Received) String() string {
	op := f.First & 0x0f
	name := map[byte]string{Text: "text", Binary: "binary", Ping: "ping", Pong: "pong", Continuation: "continuation"}[op]
	switch {
	case op == Close && len(f.Payload) >= 2:
		return fmt.Sprintf("close %d", binary.BigEndian.Uint16([]byte(f.Payload)))
	case op == Close:
		return "close without code"
	case f.First&0xf0 != Fin:
		return fmt.Sprintf("frame %#x", f.First)
	case name == "":
		return fmt.Sprintf("opcode %d", op)
	}
	const shown = 8
	if len(f.Payload) > shown {
		return fmt.Sprintf("%s %q…", name, f.Payload[:shown])
	}
	return fmt.Sprintf("%s %q", name, f.Payload)
}
