//go:build linux

package perch

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/wstest"
)

// TestBuffers: every TCP socket has the buffers of the configuration: accepted on a listener of ours, or of somebody
// else's, or dialled.
func TestBuffers(t *testing.T) {
	type buffers struct{ unsent, receive int }
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
			look := Handler{OnOpen: func(c Conn, _ *Request) {
				fd := int(c.l.slab.at(c.slot).fd)
				unsent, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
				receive, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
				opened <- buffers{unsent, receive}
			}}
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
