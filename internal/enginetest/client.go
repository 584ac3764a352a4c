//go:build linux

package enginetest

import (
	"fmt"
	"net"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// Client is a Handler whose events can be waited for.
type Client struct {
	perch.Handler
	Opened   chan perch.Ref
	Messages chan string
	Closed   chan *perch.CloseError
}

// NewClient makes one for a single connection.
func NewClient() *Client {
	c := &Client{Opened: make(chan perch.Ref, 1), Messages: make(chan string, 16), Closed: make(chan *perch.CloseError, 2)}
	c.OnOpen = func(conn perch.Conn, _ *perch.Request) { c.Opened <- conn.Ref() }
	c.OnMessage = func(_ perch.Conn, _ perch.Opcode, p []byte) { c.Messages <- string(p) }
	c.OnClose = func(_ perch.Conn, err *perch.CloseError) { c.Closed <- err }
	return c
}

// URL is the address of /ws on a server that listens on addr.
func URL(addr net.Addr) string { return "ws://" + addr.String() + "/ws" }

// Get sends a plain request on c and returns the response's status and body.
func Get(t testing.TB, c *wstest.Conn, target string) (int, string) {
	t.Helper()
	fmt.Fprintf(c.TCP(), "GET %s HTTP/1.1\r\nHost: perch.test\r\n\r\n", target)
	r := c.ReadResponse()
	return r.Status, r.Body
}

// Endless reads as zeros.
type Endless struct{}

func (Endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Upgrade sends an upgrade request for a target and returns the response.
func Upgrade(t testing.TB, srv *perch.Server, target string, headers ...string) (*wstest.Conn, *wstest.Response) {
	t.Helper()
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("perch.test", target, headers...))
	return c, c.ReadResponse()
}

// ExpectPing reads a ping of the engine and returns its payload.
func ExpectPing(t *testing.T, c *wstest.Conn) string {
	t.Helper()
	f, err := c.Next()
	if err != nil || f.Op != frame.OpPing || len(f.Payload) != 8 {
		t.Fatalf("got %v, %v, want a ping of 8 bytes", f, err)
	}
	return string(f.Payload)
}
