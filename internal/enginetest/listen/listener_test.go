//go:build linux

package listen_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// dialUnix opens a WebSocket connection to a unix socket, with gorilla's client.
func dialUnix(t *testing.T, path string, header http.Header) (*websocket.Conn, error) {
	t.Helper()
	d := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	c, _, err := d.Dial("ws://perch.test/ws", header)
	if err == nil {
		c.SetReadDeadline(time.Now().Add(wstest.DefaultTimeout))
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// exchangeUnix sends s and returns what comes back.
func exchangeUnix(t *testing.T, c *websocket.Conn, s string) string {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		t.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// A unix socket serves WebSocket and plain HTTP; its file has the mode asked for,
// replaces that of a dead server, and goes with the server.
func TestUnixListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "perch.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	srv := enginetest.Start(t, perch.Config{
		Addr: "unix:" + path, SocketMode: 0o660, MaxConnectionsPerIP: 1,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }),
	}, func(srv *perch.Server) {
		if a := srv.ClientAddr(&http.Request{RemoteAddr: "@", Header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}}); a.IsValid() {
			t.Errorf("a unix peer is believed: %v", a)
		}
		h := enginetest.Echo()
		h.OnOpen = func(c perch.Conn, r *perch.Request) {
			c.SendText(fmt.Sprint(r.RemoteAddr().IsValid(), r.PeerAddr().IsValid(), c.RemoteAddr().IsValid()))
		}
		srv.Handle("/ws", h)
	})
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if a := srv.Addr(); a.Network() != "unix" || a.String() != path {
		t.Errorf("address %v %v", a.Network(), a)
	}
	for range 3 { // no address, no limit for it
		c, err := dialUnix(t, path, http.Header{"X-Forwarded-For": {"192.0.2.1"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); string(p) != "false false false" || err != nil {
			t.Errorf("OnOpen saw %q, %v", p, err)
		}
		if got := exchangeUnix(t, c, "hello"); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	for range 2 {
		resp, err := client.Get("http://perch.test/")
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "@" {
			t.Errorf("plain HTTP saw %q", body)
		}
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	if err := perch.New(perch.Config{Addr: "unix:" + path}).Start(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second server on it: %v", err)
	}
	srv.Close()
	srv.Wait()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
}

// Who comes over a unix socket is believed only if the configuration says so.
func TestUnixTrust(t *testing.T) {
	for _, tc := range []struct {
		name          string
		trusted       []netip.Prefix
		proxy         []netip.Prefix
		first, client string
	}{
		{"nobody", prefixes("127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0"), nil, "", "invalid IP"},
		{"X-Forwarded-For", []netip.Prefix{perch.UnixPeers()}, nil, "", "192.0.2.9"},
		{"PROXY", nil, []netip.Prefix{perch.UnixPeers()}, clientHeader, "192.0.2.1"},
		{"PROXY that names nobody", nil, []netip.Prefix{perch.UnixPeers()}, "PROXY UNKNOWN\r\n", "invalid IP"},
		{"both", append(prefixes("192.0.2.1/32"), perch.UnixPeers()), []netip.Prefix{perch.UnixPeers()}, clientHeader, "192.0.2.9"},
		{"others' PROXY", nil, prefixes("127.0.0.0/8"), "", "invalid IP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			enginetest.Start(t, perch.Config{Addr: "unix:" + path, TrustedProxies: tc.trusted, ProxyProtocol: tc.proxy, MaxConnectionsPerIP: 1}, func(srv *perch.Server) {
				srv.Handle("/ws", perch.Handler{OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText(r.RemoteAddr().String()) }})
			})
			for n := range 2 {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(wstest.DefaultTimeout))
				c.Write(append([]byte(tc.first), wstest.Request("a", "/ws", "X-Forwarded-For: 192.0.2.9")...))
				r := bufio.NewReader(c)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if n == 1 && tc.client != "invalid IP" {
					if resp.StatusCode != 429 { // of the client whose address is known
						t.Errorf("the second: status %d", resp.StatusCode)
					}
					continue
				}
				want := append([]byte{0x81, byte(len(tc.client))}, tc.client...)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(r, got); err != nil || string(got) != string(want) {
					t.Errorf("status %d, %q, %v, want %q", resp.StatusCode, got, err, want)
				}
			}
		})
	}
}

// A listener that is open already: as an *os.File, of systemd for instance, or
// one of package net. All loops share it, and it is still its owner's afterwards.
func TestInheritedListener(t *testing.T) {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	file, err := tcp.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, listener := range map[string]syscall.Conn{"TCPListener": tcp, "File": file} {
		t.Run(name, func(t *testing.T) {
			var log enginetest.Journal
			srv := enginetest.Start(t, perch.Config{Listener: listener, PrivateFDs: true, Loops: 3, NewConnectionsPerSecond: -1, Logger: log.Logger()}, func(srv *perch.Server) {
				srv.Handle("/ws", enginetest.Echo())
			})
			if srv.Addr().String() != tcp.Addr().String() {
				t.Errorf("address %v, want %v", srv.Addr(), tcp.Addr())
			}
			if len(log.Find("share one listener")) != 1 {
				t.Errorf("nothing is said about the private tables: %v", log.Find(""))
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 25 {
						c := wstest.Connect(t, tcp.Addr().String())
						c.Write(wstest.Request("a", "/ws"))
						if r, err := c.TryReadResponse(); err != nil || r.Status != 101 {
							t.Errorf("%v, %v", r, err)
						}
						c.Reset()
					}
				})
			}
			all.Wait()
			if s := enginetest.AwaitStats(t, srv, "they are gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.Accepted != 200 || s.AcceptErrors != 0 {
				t.Errorf("%d accepted, %d errors", s.Accepted, s.AcceptErrors)
			}
		})
	}
	c, err := net.Dial("tcp", tcp.Addr().String()) // it listens still
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// What is no listener is refused by name.
func TestInheritedNothing(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := perch.New(perch.Config{Listener: null}).Start(); err == nil || !strings.Contains(err.Error(), "Listener") {
		t.Errorf("started on /dev/null: %v", err)
	}
}

// Who waits in the queue of a shared listener when the server stops is told so,
// not reset.
func TestSharedListenerDrains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	blocked, release := make(chan bool), make(chan bool)
	srv := enginetest.Start(t, perch.Config{Addr: "unix:" + path, Loops: 1}, func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) { blocked <- true; <-release }})
	})
	c, err := dialUnix(t, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte("block")); err != nil {
		t.Fatal(err)
	}
	wstest.Receive(t, "the loop is busy", blocked)
	var waiting []net.Conn
	for range 10 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(wstest.Request("a", "/ws"))
		waiting = append(waiting, c)
	}
	down := enginetest.Shutdown(t, srv)
	close(release)
	_, _, err = c.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the open connection: %v", err)
	}
	for n, c := range waiting {
		c.SetDeadline(time.Now().Add(wstest.DefaultTimeout))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 503 && resp.StatusCode != 101 {
			t.Errorf("%d in the queue: %v, %v", n, resp, err)
		}
		c.Close()
	}
	enginetest.ExpectShutdown(t, srv, down)
}
