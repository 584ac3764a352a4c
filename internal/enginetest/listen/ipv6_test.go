//go:build linux

package listen_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// inNetwork runs the test in a network of its own, with addresses that nobody
// else has: true in there.
func inNetwork(t *testing.T) bool {
	t.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("no ip(8): apt-get install iproute2")
	}
	if !enginetest.InChild(t, nil, syscall.CLONE_NEWNET) {
		return false
	}
	for _, command := range []string{
		"link set lo up",
		"addr add 2001:db8:a::1/64 dev lo nodad", "addr add 2001:db8:a::2/64 dev lo nodad", "addr add 2001:db8:a::3/64 dev lo nodad",
		"addr add 2001:db8:b::1/64 dev lo nodad", "addr add 192.0.2.1/24 dev lo", "addr add 192.0.2.2/24 dev lo",
		"link add perch0 type veth peer name perch1", "link set perch0 up", "link set perch1 up", "addr add fe80::77/64 dev perch0 nodad",
	} {
		if out, err := exec.Command(ip, strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v, %s", command, err, out)
		}
	}
	return true
}

// from connects from an address to a port at another.
func from(t *testing.T, local, remote netip.Addr, srv *perch.Server) net.Conn {
	t.Helper()
	port := srv.Addr().(*net.TCPAddr).Port
	d := net.Dialer{Timeout: wstest.DefaultTimeout}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	c, err := d.Dial("tcp", netip.AddrPortFrom(remote, uint16(port)).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// tellAddrs says what the server knows about addresses.
func tellAddrs(srv *perch.Server) {
	srv.Handle("/ws", perch.Handler{OnOpen: func(c perch.Conn, r *perch.Request) {
		c.SendText(fmt.Sprintf("%v %v", r.RemoteAddr(), c.RemoteAddr().Addr()))
	}})
}

// IPv6 from end to end: one stack and two, addresses with zones, a server's own
// loops with tables of their own, and the limit of a /64.
func TestIPv6(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	for _, private := range []bool{false, true} {
		for _, tt := range []struct {
			listen, local, remote string
			heard                 string // what the server knows of the client
		}{
			{"[::1]:0", "::1", "::1", "::1 ::1"},
			{"[::]:0", "::1", "::1", "::1 ::1"},
			{"[::]:0", "127.0.0.5", "127.0.0.1", "127.0.0.5 127.0.0.5"}, // not mapped
			{"[::]:0", "2001:db8:b::1", "2001:db8:a::1", "2001:db8:b::1 2001:db8:b::1"},
			{":0", "192.0.2.2", "192.0.2.1", "192.0.2.2 192.0.2.2"},
			{":0", "2001:db8:a::2", "2001:db8:a::1", "2001:db8:a::2 2001:db8:a::2"},
			{"[2001:db8:a::1]:0", "2001:db8:a::3", "2001:db8:a::1", "2001:db8:a::3 2001:db8:a::3"},
			{"[fe80::77%perch0]:0", "", "fe80::77%perch0", "fe80::77 fe80::77%"},
		} {
			srv := enginetest.Start(t, perch.Config{Addr: tt.listen, PrivateFDs: private}, tellAddrs)
			var local netip.Addr
			if tt.local != "" {
				local = netip.MustParseAddr(tt.local)
			}
			c := from(t, local, netip.MustParseAddr(tt.remote), srv)
			c.Write(wstest.Request("a", "/ws"))
			b := make([]byte, 4096)
			got := ""
			for !strings.Contains(got, tt.heard) {
				n, err := c.Read(b)
				if err != nil {
					t.Fatalf("%s from %s: %v behind %q, want %q", tt.listen, tt.local, err, got, tt.heard)
				}
				got += string(b[:n])
			}
		}
	}
	t.Run("64", func(t *testing.T) {
		srv := enginetest.Start(t, perch.Config{Addr: "[::]:0", MaxConnectionsPerIP: 2}, tellAddrs)
		for _, tt := range []struct {
			local, remote string
			status        int
		}{
			{"2001:db8:a::1", "2001:db8:a::1", 101},
			{"2001:db8:a::2", "2001:db8:a::1", 101},
			{"2001:db8:a::3", "2001:db8:a::1", 429}, // the same /64
			{"2001:db8:b::1", "2001:db8:a::1", 101},
			{"192.0.2.1", "192.0.2.1", 101},
			{"192.0.2.1", "192.0.2.1", 101},
			{"192.0.2.1", "192.0.2.1", 429},
			{"192.0.2.2", "192.0.2.1", 101},
			{"::1", "::1", 101}, {"::1", "::1", 101}, {"::1", "::1", 101}, // loopback is not limited
		} {
			c := from(t, netip.MustParseAddr(tt.local), netip.MustParseAddr(tt.remote), srv)
			c.Write(wstest.Request("a", "/ws"))
			b := make([]byte, 12)
			if _, err := c.Read(b); err != nil || string(b) != fmt.Sprint("HTTP/1.1 ", tt.status) {
				t.Errorf("from %s: %q, %v, want %d", tt.local, b, err, tt.status)
			}
		}
	})
	t.Run("Dial with a zone", func(t *testing.T) {
		srv := enginetest.Start(t, perch.Config{Addr: "[fe80::77%perch0]:0"}, func(srv *perch.Server) {
			srv.Handle("/ws", perch.Handler{OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText(r.Host()) }})
		})
		port := srv.Addr().(*net.TCPAddr).Port
		client := enginetest.NewClient()
		if err := srv.Dial(context.Background(), fmt.Sprintf("ws://[fe80::77%%25perch0]:%d/ws", port), client.Handler); err != nil {
			t.Fatal(err)
		}
		if got, want := wstest.Receive(t, "the greeting", client.Messages), fmt.Sprintf("[fe80::77]:%d", port); got != want {
			t.Errorf("Host %q, want %q", got, want)
		}
	})
}

// Host and Origin with IPv6 literals are compared as others are.
func TestIPv6Origin(t *testing.T) {
	if probe, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		probe.Close()
	}
	srv := enginetest.StartRoute(t, perch.Config{Addr: "[::1]:0"}, enginetest.Echo())
	addr := srv.Addr().String()
	for _, tt := range []struct {
		host, origin string
		status       int
	}{
		{addr, "http://" + addr, 101},
		{addr, "https://" + addr, 101},
		{addr, "http://[::1]", 403}, // another port
		{addr, "http://[::2]" + addr[len("[::1]"):], 403},
		{"[::1]", "http://[::1]", 101},
		{"[2001:DB8::1]:80", "http://[2001:db8::1]", 101},
		{"[::1%25lo]", "http://[::1]", 400},
		{"::1", "http://[::1]", 400},
		{"[::1", "http://[::1]", 400},
	} {
		c := wstest.Connect(t, addr)
		c.Write(wstest.Request(tt.host, "/ws", "Origin: "+tt.origin))
		if r := c.ReadResponse(); r.Status != tt.status {
			t.Errorf("Host %s, Origin %s: status %d, want %d", tt.host, tt.origin, r.Status, tt.status)
		}
		c.Close()
	}
}
