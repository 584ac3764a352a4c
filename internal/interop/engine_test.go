//go:build linux

package interop

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
)

const (
	// closeMe is the text that asks an echo server, ours or a peer's, to close with closeCode.
	closeMe     = "close me"
	closeCode   = 4002
	closeReason = "as asked"

	// byeCode and byeReason are what a client closes with.
	byeCode   = 1000
	byeReason = "done"

	bigMessage = 1 << 20 // over every peer's read buffer, under every peer's limit
)

// longMessages is how many of messages are so long that everybody compresses them.
const longMessages = 6

// sizes are those at which the length field changes, and some that are cut by every buffer.
var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, bigMessage}

// engine is our echo server, and a record of how its connections ended.
type engine struct {
	*perch.Server
	url    string
	closed chan perch.CloseError
	pongs  chan time.Duration
}

// takeover is permessage-deflate with contexts that live on, for every message.
var takeover = perch.Compression{ServerTakeover: true, ClientTakeover: true, Threshold: -1}

// startEngine serves an echo for the time of the test.
func startEngine(t *testing.T) *engine {
	t.Helper()
	return startEngineWith(t, perch.Compression{})
}

func startEngineWith(t *testing.T, c perch.Compression) *engine {
	t.Helper()
	return serveEngine(t, perch.Config{Compression: c})
}

func serveEngine(t *testing.T, cfg perch.Config) *engine {
	t.Helper()
	e := &engine{closed: make(chan perch.CloseError, 64), pongs: make(chan time.Duration, 64)}
	cfg.Addr, cfg.MaxMessageSize, cfg.Rate = "127.0.0.1:0", 2*bigMessage, perch.Rate{Messages: -1, Burst: -1, Bytes: -1}
	e.Server = perch.New(cfg)
	e.Handle("/ws", perch.Handler{
		Settings: perch.Settings{
			Subprotocols: []string{"perch.v1"},
			PingInterval: time.Second,
			PingTimeout:  patience,
		},
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			if op == perch.Text && string(p) == closeMe {
				_ = c.Close(closeCode, closeReason)
				return
			}
			_ = c.Send(op, p)
		},
		OnPong:  func(_ perch.Conn, rtt time.Duration) { e.pongs <- rtt },
		OnClose: func(_ perch.Conn, err *perch.CloseError) { e.closed <- *err },
	})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	e.url = "ws://" + e.Addr().String() + "/ws"
	if cfg.TLS != nil {
		e.url = "wss://" + e.Addr().String() + "/ws"
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return e
}

// sawClose demands that the next connection to end was closed by its peer with this code and reason.
func (e *engine) sawClose(t *testing.T, code perch.CloseCode, reason string) {
	t.Helper()
	got := receive(t, e.closed, "a close")
	if got.Code != code || got.Reason != reason || !got.Remote {
		t.Errorf("server saw %+v, want %d %q from the peer", got, code, reason)
	}
}

// sawOwnClose demands that the next connection to end was closed as closeMe asks.
func (e *engine) sawOwnClose(t *testing.T) {
	t.Helper()
	got := receive(t, e.closed, "a close")
	if got.Code != closeCode || got.Reason != closeReason || got.Remote || got.Err != nil {
		t.Errorf("server saw %+v, want its own %d %q, answered", got, closeCode, closeReason)
	}
}

// checkDeflated demands that the long messages came and went compressed.
func checkDeflated(t *testing.T, srv *perch.Server) {
	t.Helper()
	if s := srv.Stats(); s.CompressedReceived < longMessages || s.CompressedSent < longMessages {
		t.Errorf("%d messages came compressed and %d went, want %d at least", s.CompressedReceived, s.CompressedSent, longMessages)
	}
}

// receive waits for a value.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s in %v", what, patience)
		panic("unreachable")
	}
}

// message is one message, owned by whoever holds it.
type message struct {
	op perch.Opcode
	p  []byte
}

func (m message) String() string {
	return fmt.Sprintf("%v of %d bytes %.20q", m.op, len(m.p), m.p)
}

// messages is what every echo must return: text in several scripts, and all sizes, as text and binary.
func messages() []message {
	list := []message{
		{perch.Text, []byte("hello")},
		{perch.Text, []byte("häuser, 東京, 🦜")},
		{perch.Binary, []byte{0, 0xff, 0xfe, 0x80}},
	}
	for _, n := range sizes {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i*7 + i>>8)
		}
		list = append(list, message{perch.Binary, p}, message{perch.Text, bytes.Repeat([]byte("a"), n)})
	}
	return list
}

// dialed is our client side, connected to a peer's echo server.
type dialed struct {
	*perch.Server
	opened chan perch.Ref
	got    chan message
	closed chan perch.CloseError
}

// dial connects the engine to url and waits until it is open.
func dial(t *testing.T, url string, o perch.DialOptions) (*dialed, perch.Ref) {
	t.Helper()
	srv := perch.New(perch.Config{Addr: "-", MaxMessageSize: 2 * bigMessage, Rate: perch.Rate{Messages: -1, Burst: -1, Bytes: -1}})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(func() {
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		cancel()
	})
	d := &dialed{Server: srv, opened: make(chan perch.Ref, 1), got: make(chan message, 64), closed: make(chan perch.CloseError, 1)}
	err := srv.DialWith(ctx, url, o, perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { d.opened <- c.Ref() },
		OnMessage: func(_ perch.Conn, op perch.Opcode, p []byte) {
			d.got <- message{op, bytes.Clone(p)}
		},
		OnClose: func(_ perch.Conn, err *perch.CloseError) { d.closed <- *err },
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case ref := <-d.opened:
		return d, ref
	case err := <-d.closed:
		t.Fatalf("dial %s: %v", url, &err)
	case <-ctx.Done():
		t.Fatalf("dial %s: nothing in %v", url, patience)
	}
	panic("unreachable")
}

// echoServer is a peer's echo server; closed gets the code with which each client closed.
type echoServer struct {
	url     string
	closed  <-chan int
	options perch.DialOptions
	deflate bool // it agrees to permessage-deflate
}

// checkDial runs our client side against a peer's server: every message comes back, both sides can
// close, and each sees the other's code.
func checkDial(t *testing.T, s echoServer) {
	t.Helper()
	d, ref := dial(t, s.url, s.options)
	for _, want := range messages() {
		if err := ref.Send(want.op, want.p); err != nil {
			t.Fatalf("send %v: %v", want, err)
		}
		if got := receive(t, d.got, "echo of "+want.String()); got.op != want.op || !bytes.Equal(got.p, want.p) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if s.deflate {
		checkDeflated(t, d.Server)
	}
	if err := ref.Close(byeCode, byeReason); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, d.closed, "close"); err.Code != byeCode || err.Err != nil {
		t.Errorf("client's close: %v, want %d, answered", &err, byeCode)
	}
	if code := receive(t, s.closed, "close seen by the peer"); code != byeCode {
		t.Errorf("the peer saw %d, want %d", code, byeCode)
	}

	d, ref = dial(t, s.url, s.options)
	if err := ref.SendText(closeMe); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, d.closed, "the peer's close"); err.Code != closeCode || err.Reason != closeReason || !err.Remote {
		t.Errorf("client saw %+v, want the peer's %d %q", err, frame.CloseCode(closeCode), closeReason)
	}
}
