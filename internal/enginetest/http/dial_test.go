//go:build linux

package http_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// expectFailedDial wants OnClose, once and alone, with ErrDial and want.
func expectFailedDial(t *testing.T, c *enginetest.Client, want error) {
	t.Helper()
	err := wstest.Receive(t, "OnClose", c.Closed)
	if !errors.Is(err, perch.ErrDial) || want != nil && !errors.Is(err, want) || err.Code != frame.CloseAbnormal {
		t.Errorf("closed with %v, want ErrDial and %v", err, want)
	}
	if len(c.Opened) != 0 || len(c.Closed) != 0 {
		t.Error("OnOpen was called, or OnClose twice")
	}
}

// Our client against our server: a message each way and a closing handshake.
func TestDialOurselves(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
			c := enginetest.NewClient()
			_, port, _ := net.SplitHostPort(srv.Addr().String())
			if err := srv.Dial(context.Background(), "ws://"+host+":"+port+"/ws", c.Handler); err != nil {
				t.Fatal(err)
			}
			ref := wstest.Receive(t, "OnOpen", c.Opened)
			ref.SendText("hello")
			if s := wstest.Receive(t, "the echo", c.Messages); s != "hello" {
				t.Errorf("got %q", s)
			}
			if err := ref.Close(perch.CloseNormal, "done"); err != nil {
				t.Fatal(err)
			}
			if err := wstest.Receive(t, "OnClose", c.Closed); err.Code != perch.CloseNormal || err.Remote || err.Err != nil {
				t.Errorf("closed with %v", err)
			}
			enginetest.AwaitStats(t, srv, "both ends are gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.Opened == 2 && s.Closed == 2 })
		})
	}
}

// Our client against a server of another make; the context does not matter any
// more once the connection is open.
func TestDialGorilla(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	up := websocket.Upgrader{Subprotocols: []string{"chat.v1"}}
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			op, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(op, p) != nil {
				return
			}
		}
	}))
	t.Cleanup(peer.Close)
	c := enginetest.NewClient()
	chosen := make(chan string, 1)
	open := c.OnOpen
	c.OnOpen = func(conn perch.Conn, r *perch.Request) { chosen <- r.Subprotocol(); open(conn, r) }
	ctx, cancel := context.WithCancel(context.Background())
	err := srv.DialWith(ctx, "ws"+strings.TrimPrefix(peer.URL, "http"), perch.DialOptions{Subprotocols: []string{"other", "chat.v1"}}, c.Handler)
	if err != nil {
		t.Fatal(err)
	}
	ref := wstest.Receive(t, "OnOpen", c.Opened)
	cancel()
	if p := wstest.Receive(t, "the subprotocol", chosen); p != "chat.v1" {
		t.Errorf("subprotocol %q", p)
	}
	big := strings.Repeat("0123456789", 6000)
	for _, s := range []string{"", "hello", big} {
		ref.SendText(s)
		if got := wstest.Receive(t, "the echo", c.Messages); got != s {
			t.Errorf("%d bytes came back as %d", len(s), len(got))
		}
	}
	ref.Close(perch.CloseGoingAway, "")
	if err := wstest.Receive(t, "OnClose", c.Closed); err.Code != perch.CloseGoingAway || err.Remote {
		t.Errorf("closed with %v", err)
	}
}

// What a raw server sees: the headers, the address we come from, masked frames;
// and what it sends behind its response arrives.
func TestDialWithOptions(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	ln := wstest.Listen(t)
	c := enginetest.NewClient()
	err := srv.DialWith(context.Background(), enginetest.URL(ln.Addr())+"?a=b", perch.DialOptions{
		Header:    http.Header{"X-Test": {"yes"}},
		LocalAddr: netip.MustParseAddr("127.0.0.2"),
	}, c.Handler)
	if err != nil {
		t.Fatal(err)
	}
	peer := wstest.AcceptRaw(t, ln)
	key := peer.ReadRequest("Sec-WebSocket-Key")
	if !strings.HasPrefix(peer.Head, "GET /ws?a=b HTTP/1.1\r\n") || !strings.Contains(peer.Head, "X-Test: yes\r\n") || !strings.Contains(peer.Head, "Host: "+ln.Addr().String()+"\r\n") {
		t.Errorf("request\n%s", peer.Head)
	}
	if ip := peer.TCP().RemoteAddr().(*net.TCPAddr).IP.String(); ip != "127.0.0.2" {
		t.Errorf("connected from %s", ip)
	}
	peer.Write(append(wstest.Switching(key), peer.Encode(wstest.Text("at once"))...))
	if s := wstest.Receive(t, "the first message", c.Messages); s != "at once" {
		t.Errorf("got %q", s)
	}
	ref := wstest.Receive(t, "OnOpen", c.Opened)
	ref.SendText("masked")
	peer.ExpectText("masked")
	peer.Send(wstest.Ping("p"))
	peer.ExpectPong("p")
	peer.CloseHandshake(frame.CloseGoingAway)
	if err := wstest.Receive(t, "OnClose", c.Closed); err.Code != frame.CloseGoingAway || !err.Remote {
		t.Errorf("closed with %v", err)
	}
}

// What is wrong before anything is sent is told at once.
func TestDialRefusedAtOnce(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-", MaxConnections: 1}, nil)
	dial := func(url string, o perch.DialOptions) error {
		return srv.DialWith(context.Background(), url, o, perch.Handler{OnClose: func(_ perch.Conn, err *perch.CloseError) { t.Errorf("%s: OnClose: %v", url, err) }})
	}
	for _, url := range []string{"", "http://127.0.0.1/", "wss://", "wss://127.0.0.1:0/", "ws://", "ws://:80/", "ws://127.0.0.1:0/", "ws://127.0.0.1:65536/", "ws://u:p@127.0.0.1/", "ws://127.0.0.1/#f", "ws://127.0.0.1/\r\nX: y", "%"} {
		if err := dial(url, perch.DialOptions{}); !errors.Is(err, perch.ErrDial) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, o := range []perch.DialOptions{
		{Header: http.Header{"X": {"a\r\nY: b"}}},
		{Subprotocols: []string{"a b"}},
	} {
		if err := dial("ws://127.0.0.1:1/", o); !errors.Is(err, perch.ErrDial) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if s := srv.Stats(); s.Connections != 0 {
		t.Errorf("%d connections", s.Connections)
	}
	ln, c := wstest.Listen(t), enginetest.NewClient()
	if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), c.Handler); err != nil {
		t.Fatal(err)
	}
	if err := dial(enginetest.URL(ln.Addr()), perch.DialOptions{}); !errors.Is(err, perch.ErrOverloaded) {
		t.Errorf("over MaxConnections: %v", err)
	}
}

// What a server may answer instead of 101, or not at all.
func TestDialBadAnswers(t *testing.T) {
	head := func(lines string) string { return "HTTP/1.1 " + lines + "\r\n\r\n" }
	upgrade := "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	for _, tc := range []struct {
		name   string
		answer string // "" and then FIN; ACCEPT stands for the right value
		reset  bool
		want   error
	}{
		{name: "no upgrade", answer: head("200 OK\r\nContent-Length: 0")},
		{name: "not found", answer: head("404 Not Found\r\nContent-Length: 0")},
		{name: "wrong accept", answer: head(upgrade + "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")},
		{name: "no accept", answer: head("101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade")},
		{name: "subprotocol not offered", answer: head(upgrade + "ACCEPT\r\nSec-WebSocket-Protocol: mine")},
		{name: "extension not offered", answer: head(upgrade + "ACCEPT\r\nSec-WebSocket-Extensions: permessage-deflate")},
		{name: "no HTTP", answer: "SSH-2.0-x\r\n\r\n"},
		{name: "endless head", answer: "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 64<<10)},
		{name: "cut head", answer: "HTTP/1.1 101 Switch", want: io.EOF},
		{name: "nothing", want: io.EOF},
		{name: "reset", reset: true, want: syscall.ECONNRESET},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
			ln, c := wstest.Listen(t), enginetest.NewClient()
			if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), c.Handler); err != nil {
				t.Fatal(err)
			}
			peer := wstest.AcceptRaw(t, ln)
			key := peer.ReadRequest("Sec-WebSocket-Key")
			accept, _, _ := strings.Cut(string(wstest.Switching(key))[strings.Index(string(wstest.Switching(key)), "Accept: ")+8:], "\r\n")
			peer.TryWrite([]byte(strings.ReplaceAll(tc.answer, "ACCEPT", accept)))
			if tc.reset {
				peer.Reset()
			} else if tc.want == io.EOF {
				peer.CloseWrite()
			}
			expectFailedDial(t, c, tc.want)
			enginetest.AwaitStats(t, srv, "nothing is left", func(s *perch.Stats) bool { return s.Connections == 0 && s.Opened == 0 })
		})
	}
}

// full is a listener whose queue is full: connections to it wait.
func full(t *testing.T) net.Addr {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*syscall.SockaddrInet4).Port}
	for {
		c, err := net.DialTimeout("tcp", addr.String(), 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

// Every way in which an attempt ends before there is an answer.
func TestDialGivesUp(t *testing.T) {
	silent := func(t *testing.T) net.Addr { return wstest.Listen(t).Addr() }
	refused := func(t *testing.T) net.Addr {
		ln := wstest.Listen(t)
		ln.Close()
		return ln.Addr()
	}
	short := perch.Config{HandshakeTimeout: 80 * time.Millisecond}
	for _, tc := range []struct {
		name   string
		to     func(t *testing.T) net.Addr
		url    string // instead
		cfg    perch.Config
		cancel string // when
		want   error
	}{
		{name: "refused", to: refused, want: syscall.ECONNREFUSED},
		{name: "no such name", url: "ws://no..name/"},
		{name: "no address to come from", to: silent, want: syscall.EADDRNOTAVAIL},
		{name: "cancelled before", to: silent, cancel: "before", want: context.Canceled},
		{name: "cancelled connecting", to: full, cancel: "after", want: context.Canceled},
		{name: "cancelled waiting", to: silent, cancel: "after", want: context.Canceled},
		{name: "connecting too long", to: full, cfg: short, want: os.ErrDeadlineExceeded},
		{name: "waiting too long", to: silent, cfg: short, want: os.ErrDeadlineExceeded},
		{name: "server shut down", to: silent, cancel: "shutdown", want: perch.ErrShutdown},
		{name: "server closed", to: silent, cancel: "close", want: perch.ErrShutdown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Addr = "-"
			srv := enginetest.Start(t, tc.cfg, nil)
			c, url, o := enginetest.NewClient(), tc.url, perch.DialOptions{}
			if url == "" {
				url = enginetest.URL(tc.to(t))
			}
			if tc.want == syscall.EADDRNOTAVAIL {
				o.LocalAddr = netip.MustParseAddr("192.0.2.1") // TEST-NET-1: nobody's
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if tc.cancel == "before" {
				cancel()
			}
			if err := srv.DialWith(ctx, url, o, c.Handler); err != nil {
				t.Fatal(err)
			}
			srv.Stats() // the loops have seen the attempt
			switch tc.cancel {
			case "after":
				cancel()
			case "shutdown":
				srv.Shutdown(context.Background())
			case "close":
				srv.Close()
			}
			expectFailedDial(t, c, tc.want)
			enginetest.AwaitStats(t, srv, "nothing is left", func(s *perch.Stats) bool { return s.Connections == 0 })
		})
	}
}

// Two hundred at once, from a callback and from other goroutines.
func TestDialManyAtOnce(t *testing.T) {
	const dials = 200
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited}, enginetest.Echo())
	var echoed, closed atomic.Int64
	h := perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { c.SendText("one of many") },
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) { echoed.Add(1); c.Close(perch.CloseNormal, "") },
		OnClose:   func(perch.Conn, *perch.CloseError) { closed.Add(1) },
	}
	var all sync.WaitGroup
	for range dials {
		all.Go(func() {
			if err := srv.Dial(context.Background(), enginetest.URL(srv.Addr()), h); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.Closed == 2*dials })
	if echoed.Load() != dials || closed.Load() != dials || s.CloseCodes[0] != 2*dials {
		t.Errorf("%d echoes, %d closed, %d with 1000", echoed.Load(), closed.Load(), s.CloseCodes[0])
	}
}
