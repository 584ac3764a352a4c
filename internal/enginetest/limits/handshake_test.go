//go:build linux

package limits_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// expectRefused reads a response with this status, and the end of the stream
// after it: FIN, not RST.
func expectRefused(t testing.TB, c *wstest.Conn, status int) *wstest.Response {
	t.Helper()
	r := c.ReadResponse()
	if r.Status != status {
		t.Errorf("status %d, want %d\n%s%s", r.Status, status, r.Head, r.Body)
	}
	c.ExpectEOF()
	return r
}

// Every refusal can be read by a client that goes on sending.
func TestRefusalReachesSender(t *testing.T) {
	const host = "perch.test"
	routes := func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		srv.Handle("/no", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(401, "who are you?") }})
	}
	for _, tc := range []struct {
		status  int
		request string
	}{
		{400, "GET /ws HTTP/1.1\nHost: a\n\n"},
		{400, "GET /ws HTTP/1.1\r\n\r\n"},
		{401, string(wstest.Request(host, "/no"))},
		{403, string(wstest.Request(host, "/ws", "Origin: http://elsewhere.test"))},
		{404, string(wstest.Request(host, "/elsewhere"))},
		{404, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"},
		{405, strings.Replace(string(wstest.Request(host, "/ws")), "GET", "PUT", 1)},
		{408, "GET /ws HTTP/1.1\r\nHost: a\r\n"},
		{426, "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"},
		{426, strings.Replace(string(wstest.Request(host, "/ws")), "Version: 13", "Version: 8", 1)},
		{431, "GET /ws HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 8<<10) + "\r\n\r\n"},
		{431, "GET /ws HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: x\r\n", 65) + "\r\n"},
	} {
		name, _, _ := strings.Cut(tc.request, "\r\n")
		t.Run(fmt.Sprintf("%d %s", tc.status, strings.Fields(name)[0]), func(t *testing.T) {
			srv := enginetest.Start(t, perch.Config{HandshakeTimeout: 200 * time.Millisecond}, routes)
			c := wstest.Connect(t, srv.Addr().String())
			c.Write([]byte(tc.request))
			if tc.status == 408 {
				enginetest.AwaitStats(t, srv, "its time is up", func(s *perch.Stats) bool { return s.HandshakeTimeouts == 1 })
			}
			c.Write(bytes.Repeat([]byte("more"), 128<<10)) // half of what lingering takes
			r := expectRefused(t, c, tc.status)
			if tc.status == 426 && (r.Header("Sec-WebSocket-Version") != "13" || r.Header("Upgrade") == "") {
				t.Errorf("426 without what it demands:\n%s", r.Head)
			}
			c.Close()
			s := enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
			if s.Opened != 0 || s.Closed != 0 {
				t.Errorf("%d opened, %d closed", s.Opened, s.Closed)
			}
		})
	}
}

// A client that says nothing at all is told so as well.
func TestSilentHandshake(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{HandshakeTimeout: 100 * time.Millisecond}, enginetest.Echo())
	begun := time.Now()
	c := wstest.Connect(t, srv.Addr().String())
	expectRefused(t, c, 408)
	if took := time.Since(begun); took < 90*time.Millisecond {
		t.Errorf("refused after %v, before its time", took)
	}
	if s := srv.Stats(); s.HandshakeTimeouts != 1 {
		t.Errorf("%d handshake timeouts, want 1", s.HandshakeTimeouts)
	}
}

func TestMaxConnections(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxConnections: 2}, enginetest.Echo())
	addr := srv.Addr().String()
	a, b := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
	for range 3 { // who is refused takes no room
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(addr, "/ws"))
		if r := expectRefused(t, c, 503); r.Header("Retry-After") == "" {
			t.Errorf("no Retry-After:\n%s", r.Head)
		}
		c.Close()
	}
	s := enginetest.AwaitStats(t, srv, "the refused are gone", func(s *perch.Stats) bool { return s.Connections == 2 })
	if s.Refused != 3 || s.Accepted != 5 || s.Opened != 2 {
		t.Errorf("%d refused, %d accepted, %d opened, want 3, 5, 2", s.Refused, s.Accepted, s.Opened)
	}
	a.CloseHandshake(perch.CloseNormal)
	enginetest.AwaitStats(t, srv, "there is room", func(s *perch.Stats) bool { return s.Connections == 1 })
	c := enginetest.Dial(t, srv)
	for _, c := range []*wstest.Conn{b, c} {
		c.Send(wstest.Text("both"))
		c.ExpectText("both")
	}
}

// Those that are refused and stay to the end of their linger do not take the
// room of others.
func TestRefusedTakeNoRoom(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxConnections: 2}, enginetest.Echo())
	addr := srv.Addr().String()
	a := enginetest.Dial(t, srv)
	enginetest.Dial(t, srv)
	for range 5 {
		c := wstest.Connect(t, addr)
		expectRefused(t, c, 503) // and stays
	}
	a.CloseHandshake(perch.CloseNormal)
	enginetest.AwaitStats(t, srv, "one is closed", func(s *perch.Stats) bool { return s.Closed == 1 })
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("in"))
	c.ExpectText("in")
}

// However many are refused at once, few are held: telling them so would take
// descriptors that are not there.
func TestRefusalsAreBounded(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	enginetest.LimitDescriptors(t, 256) // 32 may be held then
	srv := enginetest.StartRoute(t, perch.Config{MaxConnections: 1}, enginetest.Echo())
	enginetest.Dial(t, srv)
	refused, reset := 0, 0
	for range 60 { // none of which closes
		nc, err := net.Dial("tcp", srv.Addr().String())
		if err != nil {
			reset++
			continue
		}
		defer nc.Close()
		nc.SetReadDeadline(time.Now().Add(wstest.DefaultTimeout))
		if b, err := io.ReadAll(nc); err != nil {
			reset++
		} else if bytes.HasPrefix(b, []byte("HTTP/1.1 503 ")) {
			refused++
		}
	}
	if refused < 20 || refused+reset != 60 {
		t.Errorf("%d refused, %d reset", refused, reset)
	}
	if s := srv.Stats(); s.Refused != 60 || s.Connections > 33 {
		t.Errorf("%d refused by the counter, %d connections", s.Refused, s.Connections)
	}
}

func TestNewConnectionsPerSecond(t *testing.T) {
	const rate = 5
	srv := enginetest.StartRoute(t, perch.Config{NewConnectionsPerSecond: rate}, enginetest.Echo())
	addr := srv.Addr().String()
	begun := time.Now()
	opened, refused := 0, 0
	for refused < 3 {
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(addr, "/ws"))
		switch r := c.ReadResponse(); r.Status {
		case 101:
			opened++
		case 503:
			refused++
			if r.Header("Retry-After") == "" {
				t.Errorf("no Retry-After:\n%s", r.Head)
			}
			c.ExpectEOF()
		default:
			t.Fatalf("status %d", r.Status)
		}
	}
	took := time.Since(begun).Seconds()
	if opened < rate || float64(opened) > rate*(1+took)+1 {
		t.Errorf("%d opened in %.2f s before %d were refused, at %d a second", opened, took, refused, rate)
	}
	if s := srv.Stats(); s.Refused != 3 || s.Opened != uint64(opened) {
		t.Errorf("%d refused, %d opened", s.Refused, s.Opened)
	}
	for {
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(addr, "/ws"))
		if c.ReadResponse().Status == 101 { // the second goes by
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("nobody is let in any more")
		}
	}
}

// Behind a proxy all connections come from its address: what counts is whom it
// forwards for.
func TestMaxConnectionsPerForwardedAddress(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxConnectionsPerIP: 2, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, enginetest.Echo())
	addr := srv.Addr().String()
	from := func(client string) *wstest.Conn {
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(addr, "/ws", "X-Forwarded-For: "+client))
		return c
	}
	var first *wstest.Conn
	for i := range 2 {
		c := from("203.0.113.7")
		c.ExpectUpgraded()
		if i == 0 {
			first = c
		}
	}
	if r := expectRefused(t, from("203.0.113.7"), 429); r.Header("Retry-After") == "" {
		t.Errorf("no Retry-After:\n%s", r.Head)
	}
	if s := srv.Stats(); s.Refused != 1 {
		t.Errorf("%d refused, want 1", s.Refused)
	}
	from("203.0.113.8").ExpectUpgraded()
	for range 3 {
		from("127.0.0.9").ExpectUpgraded() // loopback is never limited
	}
	// IPv6 is counted by /64.
	from("2001:db8:1:2::1").ExpectUpgraded()
	from("2001:db8:1:2:ffff::2").ExpectUpgraded()
	expectRefused(t, from("2001:db8:1:2::3"), 429)
	from("2001:db8:1:3::1").ExpectUpgraded()

	first.CloseHandshake(perch.CloseNormal)
	enginetest.AwaitStats(t, srv, "one is closed", func(s *perch.Stats) bool { return s.Closed == 1 })
	from("203.0.113.7").ExpectUpgraded()
}

// Whoever is no trusted proxy cannot speak for others, nor hide.
func TestForwardedForIsNotBelieved(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MaxConnectionsPerIP: 1}, enginetest.Echo())
	addr := srv.Addr().String()
	for range 3 {
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(addr, "/ws", "X-Forwarded-For: 203.0.113.7"))
		c.ExpectUpgraded()
	}
}
