//go:build linux

package perch

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/wstest"
)

// buffers are what the kernel may hold for a socket.
type buffers struct{ unsent, receive int }

func buffersOf(fd int) (b buffers) {
	b.unsent, _ = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	b.receive, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return b
}

// TestBuffersHTTP: a socket has little of them while it is with net/http, and those of the configuration again after
// an upgrade, also where it has come from another server.
func TestBuffersHTTP(t *testing.T) {
	for _, tt := range []struct {
		name           string
		cfg            Config
		web, websocket buffers
	}{
		{"by default", Config{}, buffers{32 << 10, 128 << 10}, buffers{128 << 10, 256 << 10}},
		{"small ones", Config{SendBuffer: 16 << 10, ReceiveBuffer: 8 << 10}, buffers{16 << 10, 16 << 10}, buffers{16 << 10, 16 << 10}},
	} {
		opened, served := make(chan buffers, 1), make(chan buffers, 1)
		cfg := tt.cfg
		cfg.Addr = "127.0.0.1:0"
		var srv *Server
		cfg.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			raw, err := ownConn(srv, r).socket.(*net.TCPConn).SyscallConn()
			if err == nil {
				err = raw.Control(func(fd uintptr) { served <- buffersOf(int(fd)) })
			}
			if err != nil {
				t.Error(err)
			}
		})
		srv = New(cfg)
		srv.Handle("/ws", Handler{OnOpen: func(c Conn, _ *Request) { opened <- buffersOf(int(c.l.slab.at(c.slot).fd)) }})
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		foreign := httptest.NewServer(srv)
		defer foreign.Close()
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte("GET / HTTP/1.1\r\nHost: perch.test\r\n\r\n"))
		if got := wstest.Receive(t, "the request", served); got != tt.web {
			t.Errorf("%s, plain HTTP: %+v, want %+v", tt.name, got, tt.web)
		}
		c.ReadResponse()
		c.Write(wstest.Request("perch.test", "/ws"))
		c.ExpectUpgraded()
		if got := wstest.Receive(t, "the upgrade", opened); got != tt.websocket {
			t.Errorf("%s, upgraded later: %+v, want %+v", tt.name, got, tt.websocket)
		}
		wstest.Dial(t, foreign.Listener.Addr().String(), "/ws")
		if got := wstest.Receive(t, "the upgrade", opened); got != tt.websocket {
			t.Errorf("%s, from another server: %+v, want %+v", tt.name, got, tt.websocket)
		}
	}
}

// TestBuffers: every TCP socket has the buffers of the configuration: accepted on a listener of ours, or of somebody
// else's, or dialled.
func TestBuffers(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want buffers
	}{
		{"by default", Config{}, buffers{128 << 10, 256 << 10}}, // the kernel doubles what is received
		{"other ones", Config{SendBuffer: 32 << 10, ReceiveBuffer: 64 << 10}, buffers{32 << 10, 128 << 10}},
	} {
		for _, inherited := range []bool{false, true} {
			opened := make(chan buffers, 1)
			look := Handler{OnOpen: func(c Conn, _ *Request) { opened <- buffersOf(int(c.l.slab.at(c.slot).fd)) }}
			cfg := tt.cfg
			if cfg.Addr = "127.0.0.1:0"; inherited {
				ln, err := net.Listen("tcp", cfg.Addr)
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				cfg.Listener = ln.(*net.TCPListener)
			}
			srv := New(cfg)
			srv.Handle("/ws", look)
			if err := srv.Start(); err != nil {
				t.Fatal(err)
			}
			c := wstest.Dial(t, srv.Addr().String(), "/ws")
			if got := wstest.Receive(t, "the connection", opened); got != tt.want {
				t.Errorf("%s, inherited %t: %+v, want %+v", tt.name, inherited, got, tt.want)
			}
			c.Close()
			if err := srv.Dial(context.Background(), "ws://"+srv.Addr().String()+"/ws", look); err != nil {
				t.Fatal(err)
			}
			for range 2 { // both ends
				if got := wstest.Receive(t, "the dial", opened); got != tt.want {
					t.Errorf("%s, dialled: %+v, want %+v", tt.name, got, tt.want)
				}
			}
			srv.Close()
		}
	}
}
