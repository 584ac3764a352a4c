package wstest

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Key and Accept are the vector of RFC 6455 section 1.3. Every upgrade of this
// package uses it unless the test writes a request of its own.
const (
	Key    = "dGhlIHNhbXBsZSBub25jZQ=="
	Accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// maxHead bounds the head of a response or request, in bytes.
const maxHead = 64 << 10

// Dial connects to addr and upgrades target ("/ws?raw=1"). headers are further
// header lines without line ends: "Origin: http://example.com".
func Dial(t testing.TB, addr, target string, headers ...string) *Conn {
	t.Helper()
	c := Connect(t, addr)
	c.Write(Request(addr, target, headers...))
	c.ExpectUpgraded()
	return c
}

// Request returns the bytes of an upgrade request that obeys every rule.
func Request(host, target string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n", target, host)
	b.WriteString("Upgrade: websocket\r\nConnection: Upgrade\r\n")
	b.WriteString("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + Key + "\r\n")
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// ExpectUpgraded reads a response, which must accept the upgrade of [Request].
func (c *Conn) ExpectUpgraded() {
	c.t.Helper()
	r := c.ReadResponse()
	if r.Status != 101 {
		c.t.Fatalf("wstest: upgrade answered %d, want 101\n%s%s", r.Status, r.Head, r.Body)
	}
	if got := r.Header("Sec-WebSocket-Accept"); got != Accept {
		c.t.Fatalf("wstest: Sec-WebSocket-Accept %q, want %q", got, Accept)
	}
	if !strings.EqualFold(r.Header("Upgrade"), "websocket") || !strings.EqualFold(r.Header("Connection"), "upgrade") {
		c.t.Fatalf("wstest: not an upgrade:\n%s", r.Head)
	}
}

// A Response is an HTTP response as it arrived.
type Response struct {
	Status int
	Head   string // up to and with the blank line
	Body   string // Content-Length bytes; without that header all until EOF; "" for 101
}

// Header returns the first value of a header, "" if there is none.
func (r *Response) Header(name string) string { return headerValue(r.Head, name) }

// ReadResponse reads one HTTP response. The connection is left at the byte
// after it.
func (c *Conn) ReadResponse() *Response {
	c.t.Helper()
	r, err := c.TryReadResponse()
	c.must("read response", err)
	return r
}

// TryReadResponse is ReadResponse for any goroutine, and for tests that expect
// it to fail.
func (c *Conn) TryReadResponse() (*Response, error) {
	r, err := c.readStatus()
	if err != nil || r.Status == 101 || r.Status == 204 {
		return r, err
	}
	length := int64(-1)
	if s := r.Header("Content-Length"); s != "" {
		if length, err = strconv.ParseInt(s, 10, 32); err != nil {
			return nil, fmt.Errorf("Content-Length %q", s)
		}
	}
	var body []byte
	if length >= 0 {
		body = make([]byte, length)
		_, err = io.ReadFull(c.r, body)
	} else {
		body, err = io.ReadAll(c.r)
	}
	r.Body = string(body)
	return r, err
}

// ReadHeadResponse is ReadResponse of an answer to HEAD, which has no body.
func (c *Conn) ReadHeadResponse() *Response {
	c.t.Helper()
	r, err := c.readStatus()
	c.must("read response", err)
	return r
}

// readStatus reads the head of a response.
func (c *Conn) readStatus() (*Response, error) {
	head, err := c.readHead()
	if err != nil {
		return nil, err
	}
	r := &Response{Head: head}
	line, _, _ := strings.Cut(head, "\r\n")
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	if r.Status, err = strconv.Atoi(code); err != nil || proto != "HTTP/1.1" {
		return nil, fmt.Errorf("status line %q", line)
	}
	return r, nil
}

// Listen opens a listener on a free port of 127.0.0.1, closed when the test ends.
func Listen(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatalf("wstest: listen: %v", err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// AcceptConn waits for a connection and upgrades it: the server that a client
// under test talks to. headers are further lines of the response. The request
// is in Conn.Head.
func AcceptConn(t testing.TB, ln *net.TCPListener, headers ...string) *Conn {
	t.Helper()
	c := AcceptRaw(t, ln)
	key := c.ReadRequest("Sec-WebSocket-Key")
	c.Write(Switching(key, headers...))
	return c
}

// AcceptRaw waits for a connection and neither reads nor writes.
func AcceptRaw(t testing.TB, ln *net.TCPListener) *Conn {
	t.Helper()
	ln.SetDeadline(time.Now().Add(DefaultTimeout))
	nc, err := ln.AcceptTCP()
	if err != nil {
		t.Fatalf("wstest: accept: %v", err)
	}
	return newConn(t, nc, false)
}

// ReadRequest reads the head of a request into c.Head and returns the value of
// one of its headers.
func (c *Conn) ReadRequest(header string) string {
	c.t.Helper()
	_, err := c.readHead()
	c.must("read request", err)
	return headerValue(c.Head, header)
}

// Switching returns the bytes of the response that accepts an upgrade with this
// Sec-WebSocket-Key.
func Switching(key string, headers ...string) []byte {
	sum := sha1.Sum([]byte(key + guid))
	s := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	for _, h := range headers {
		s += h + "\r\n"
	}
	return []byte(s + "\r\n")
}

// Header returns the first value of a header of the peer's request or response,
// "" if there is none.
func (c *Conn) Header(name string) string { return headerValue(c.Head, name) }

func (c *Conn) readHead() (string, error) {
	c.nc.SetReadDeadline(time.Now().Add(c.Timeout))
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		switch {
		case errors.Is(err, io.EOF) && b.Len() > 0:
			return "", fmt.Errorf("head cut off: %q", b.String())
		case err != nil:
			return "", err
		case b.Len() > maxHead:
			return "", errors.New("head too long")
		case line == "\r\n":
			c.Head = b.String()
			return c.Head, nil
		}
	}
}

func headerValue(head, name string) string {
	lines := strings.Split(head, "\r\n")
	for _, line := range lines[1:] {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
