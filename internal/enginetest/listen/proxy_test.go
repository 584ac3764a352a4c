//go:build linux

package listen_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

const clientHeader = "PROXY TCP4 192.0.2.1 203.0.113.5 12345 443\r\n"

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// startProxied starts a server that demands PROXY headers from 127.0.0.0/8 and
// tells each client who it is, over WebSocket and plain HTTP.
func startProxied(t *testing.T, cfg perch.Config) *perch.Server {
	t.Helper()
	cfg.ProxyProtocol = prefixes("127.0.0.0/8")
	cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	return enginetest.Start(t, cfg, func(srv *perch.Server) {
		tell := func(c perch.Conn, r *perch.Request) {
			c.SendText(fmt.Sprintf("%v %v %v", r.RemoteAddr(), r.PeerAddr(), c.RemoteAddr()))
		}
		srv.Handle("/ws", perch.Handler{OnOpen: tell, OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			c.SendText(c.RemoteAddr().String())
		}})
		srv.HandleBlocking("/blocking", perch.BlockingHandler{
			OnUpgrade: func(r *perch.Request) perch.Response { return perch.Response{Value: r.PeerAddr()} },
			OnOpen: func(c perch.Ref, r *perch.Request) {
				c.SendText(fmt.Sprintf("%v %v %v", r.RemoteAddr(), r.PeerAddr(), c.Value()))
			},
		})
	})
}

// The client that the header names is the connection's other end in every way:
// for WebSocket, plain HTTP, and an upgrade after it.
func TestProxyHeader(t *testing.T) {
	srv := startProxied(t, perch.Config{})
	const told = "192.0.2.1 192.0.2.1:12345 192.0.2.1:12345"
	for _, chunk := range []int{1, 7, len(clientHeader), 1000} {
		for _, path := range []string{"/ws", "/blocking"} {
			c := wstest.Connect(t, srv.Addr().String())
			all := append([]byte(clientHeader), wstest.Request("a", path)...)
			if path == "/ws" {
				all = append(all, c.Encode(wstest.Text("who?"))...)
			}
			if err := c.TryChopBytes(chunk, all); err != nil {
				t.Fatal(err)
			}
			c.ExpectUpgraded()
			c.ExpectText(told)
			if path == "/ws" {
				c.ExpectText("192.0.2.1:12345")
			}
			c.CloseHandshake(perch.CloseNormal)
			c.Close()
		}
	}
	c := wstest.Connect(t, srv.Addr().String())
	c.Write([]byte(clientHeader))
	for range 2 {
		if status, body := enginetest.Get(t, c, "/"); status != 200 || body != "192.0.2.1:12345" {
			t.Errorf("plain HTTP: %d %q", status, body)
		}
	}
	c.Write(wstest.Request("a", "/ws"))
	c.ExpectUpgraded()
	c.ExpectText(told)
	c.Send(wstest.Text("who?"))
	c.ExpectText("192.0.2.1:12345")

	// One that names nobody: the connection is the proxy's own.
	for _, header := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(append([]byte(header), wstest.Request("a", "/ws")...))
		c.ExpectUpgraded()
		own := c.TCP().LocalAddr().String()
		c.ExpectText("127.0.0.1 " + own + " " + own)
	}
	if s := srv.Stats(); s.BadProxyHeaders != 0 {
		t.Errorf("%d bad headers", s.BadProxyHeaders)
	}
}

// Where a header is demanded there is no way round it; from others none is taken.
func TestProxyHeaderDemanded(t *testing.T) {
	srv := startProxied(t, perch.Config{HandshakeTimeout: 300 * time.Millisecond})
	for _, begin := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01", "PROXY TCP4 192.0.2.1\r\n", "\r\n\r\n\x00\r\nQUIT\n\x51"} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte(begin))
		c.ExpectGone()
	}
	if s := enginetest.AwaitStats(t, srv, "they are gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.BadProxyHeaders != 4 || s.Handshakes != 0 {
		t.Errorf("%d bad headers, %d requests", s.BadProxyHeaders, s.Handshakes)
	}
	// HandshakeTimeout is for the header, and for header and request together.
	for n, begin := range []string{"", "PROXY TCP4", clientHeader, clientHeader + "GET / HTTP/1.1\r\n"} {
		c, began := wstest.Connect(t, srv.Addr().String()), time.Now()
		c.Write([]byte(begin))
		enginetest.AwaitStats(t, srv, "it is given up", func(s *perch.Stats) bool { return s.HandshakeTimeouts > uint64(n) })
		if d := time.Since(began); d < 250*time.Millisecond || d > time.Second {
			t.Errorf("%q: given up after %v", begin, d)
		}
		c.Close()
		enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	}

	other := enginetest.Start(t, perch.Config{ProxyProtocol: prefixes("10.0.0.0/8")}, nil)
	c := wstest.Connect(t, other.Addr().String())
	c.Write([]byte(clientHeader))
	if r := c.ReadResponse(); r.Status != 400 {
		t.Errorf("a header from somebody else: %d", r.Status)
	}
}

// The header's client is who limits and trust are about.
func TestProxyHeaderLimits(t *testing.T) {
	srv := startProxied(t, perch.Config{MaxConnectionsPerIP: 2, TrustedProxies: prefixes("10.0.0.0/8")})
	try := func(client, forwarded string, status int) *wstest.Conn {
		t.Helper()
		c := wstest.Connect(t, srv.Addr().String())
		var headers []string
		if forwarded != "" {
			headers = []string{"X-Forwarded-For: " + forwarded}
		}
		family := "TCP4"
		if strings.Contains(client, ":") {
			family = "TCP6"
		}
		c.Write(append(fmt.Appendf(nil, "PROXY %s %s %[2]s 1 2\r\n", family, client), wstest.Request("a", "/ws", headers...)...))
		if r := c.ReadResponse(); r.Status != status {
			t.Fatalf("%s, %s: status %d, want %d", client, forwarded, r.Status, status)
		}
		return c
	}
	first := try("192.0.2.10", "", 101)
	try("192.0.2.10", "198.51.100.1", 101) // what it says itself is nothing
	try("192.0.2.10", "", 429)
	try("192.0.2.11", "", 101)
	try("2001:db8::1", "", 101)
	try("2001:db8::2", "", 101) // the same /64
	try("2001:db8::3", "", 429)
	// A proxy behind the proxy.
	try("10.0.0.1", "198.51.100.7", 101)
	try("10.0.0.2", "198.51.100.7", 101)
	try("10.0.0.3", "198.51.100.7", 429)
	try("10.0.0.3", "198.51.100.8", 101)
	first.Reset()
	enginetest.AwaitStats(t, srv, "one is gone", func(s *perch.Stats) bool { return s.Closed == 1 })
	try("192.0.2.10", "", 101)
}

// Plain HTTP counts for its address as long as its connection lives; an upgrade on
// it is the same connection still.
func TestPlainHTTPCountsForAddress(t *testing.T) {
	srv := startProxied(t, perch.Config{MaxConnectionsPerIP: 1})
	connect := func() *wstest.Conn {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte(clientHeader))
		return c
	}
	refused := func(when string) {
		t.Helper()
		c := connect()
		if status, _ := enginetest.Get(t, c, "/"); status != 429 {
			t.Errorf("a second connection %s: %d", when, status)
		}
		c.Close()
	}
	first := connect()
	for range 2 {
		if status, body := enginetest.Get(t, first, "/"); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
		refused("while plain HTTP is kept alive")
	}
	first.Write(wstest.Request("a", "/ws"))
	first.ExpectUpgraded()
	refused("while it is a WebSocket")
	first.Reset()
	enginetest.AwaitStats(t, srv, "they are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	for range 3 { // nothing is left of it, nor of those that only asked for a page
		c := connect()
		if status, _ := enginetest.Get(t, c, "/"); status != 200 {
			t.Errorf("afterwards: %d", status)
		}
		c.Close()
		enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	}
}

// X-Forwarded-For decides about limits behind a trusted proxy, whatever it looks
// like: what is no address counts for the proxy that has passed it on.
func TestForwardedLimits(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{MaxConnectionsPerIP: 1, TrustedProxies: prefixes("127.0.0.0/8", "10.0.0.0/8")}, func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText(r.RemoteAddr().String()) }})
	})
	for _, tc := range []struct {
		forwarded, client string // "": refused
	}{
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:5555", ""},
		{"1.2.3.4, 192.0.2.1", ""},
		{"192.0.2.2, 10.1.1.1", "192.0.2.2"},
		{"garbage, 192.0.2.2", ""},
		{"[2001:db8:1:2::1]:443", "2001:db8:1:2::1"},
		{"2001:db8:1:2:ffff::9", ""}, // the same /64
		{"2001:db8:1:3::1%eth0", "2001:db8:1:3::1"},
		{"::ffff:192.0.2.3", "192.0.2.3"},
		{"192.0.2.3", ""},
		{"192.0.2.9, unknown", "127.0.0.1"},    // nobody vouches for it
		{"192.0.2.9, unknown", "127.0.0.1"},    // and loopback is not limited
		{"192.0.2.9, , 10.1.1.1", "192.0.2.9"}, // an empty entry is none
		{"]], 10.1.1.1", "10.1.1.1"},
		{"unknown, 10.1.1.1", ""},
	} {
		r := &http.Request{RemoteAddr: "127.0.0.1:5", Header: http.Header{"X-Forwarded-For": {tc.forwarded}}}
		if got := srv.ClientAddr(r).String(); tc.client != "" && got != tc.client {
			t.Errorf("%q of a plain request: %s, want %s", tc.forwarded, got, tc.client)
		}
		c, resp := enginetest.Upgrade(t, srv, "/ws", "X-Forwarded-For: "+tc.forwarded)
		switch {
		case tc.client == "" && resp.Status != 429, tc.client != "" && resp.Status != 101:
			t.Errorf("%q: status %d", tc.forwarded, resp.Status)
		case tc.client != "":
			c.ExpectText(tc.client)
		}
	}
}
