//go:build linux

package perch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/wstest"
)

// A name may have several addresses: they are tried in order, until one takes
// the connection.
func TestDialTriesEveryAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		addrs []string // "" stands for the one that listens
		want  error
	}{
		"refused, then answered": {[]string{"127.0.0.1:1", "127.0.0.2:1", ""}, nil},
		"impossible at once":     {[]string{"255.255.255.255:1", ""}, nil},
		"nobody":                 {[]string{"127.0.0.1:1", "127.0.0.2:1"}, syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			srv := New(Config{Addr: "127.0.0.1:0", Loops: 1})
			srv.Handle("/ws", Handler{})
			if err := srv.Start(); err != nil {
				t.Fatal(err)
			}
			defer srv.Wait()
			defer srv.Close()
			result := make(chan error, 2)
			route, err := srv.dialRoute(Handler{
				OnOpen:  func(Conn, *Request) { result <- nil },
				OnClose: func(_ Conn, err *CloseError) { result <- err },
			})
			if err != nil {
				t.Fatal(err)
			}
			d := newDialing(route, wstest.Key)
			for _, a := range tc.addrs {
				if a == "" {
					d.addrs = append(d.addrs, srv.Addr().(*net.TCPAddr).AddrPort())
				} else {
					d.addrs = append(d.addrs, netip.MustParseAddrPort(a))
				}
			}
			srv.connections.Add(1)
			if err := srv.loops[0].put(post{kind: postDial, dial: d}, nil); err != nil {
				t.Fatal(err)
			}
			if err := wstest.Receive(t, "the outcome", result); !errors.Is(err, tc.want) || tc.want != nil && !errors.Is(err, ErrDial) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// The route of a dialled connection is used again when it is gone, whether it was
// open or not.
func TestDialGivesRouteBack(t *testing.T) {
	srv := New(Config{Addr: "127.0.0.1:0", Loops: 2})
	srv.Handle("/ws", Handler{})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Wait()
	defer srv.Close()
	closed := make(chan *CloseError, 1)
	h := Handler{
		OnOpen:  func(c Conn, _ *Request) { c.Close(CloseNormal, "") },
		OnClose: func(_ Conn, err *CloseError) { closed <- err },
	}
	for range 50 {
		for _, path := range []string{"/ws", "/not-there"} {
			if err := srv.Dial(t.Context(), "ws://"+srv.Addr().String()+path, h); err != nil {
				t.Fatal(err)
			}
			wstest.Receive(t, "OnClose", closed)
		}
	}
	wstest.Eventually(t, "all are gone", func() bool { return srv.Stats().Connections == 0 })
	if n := len(*srv.table.routes.Load()); n > 5 { // none, /ws, and what overlapped
		t.Errorf("%d routes are left of 100 connections, one at a time", n)
	}
}

// newDialing is what DialWith makes of ws://test/ws, without an address.
func newDialing(route *Route, key string) *dialing {
	d := &dialing{ctx: context.Background(), release: func(error) {}, route: route, host: "test", key: key}
	var err error
	if d.request, err = handshake.AppendRequest(nil, d.host, "/ws", key, nil, "", nil); err != nil {
		panic(err)
	}
	return d
}
