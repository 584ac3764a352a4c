//go:build linux

package liveness_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// slowly reads from a connection at a steady pace, in bytes a second.
type slowly struct {
	net.Conn
	pace int
	tick *time.Ticker
}

// slowTick is how often it reads.
const slowTick = 20 * time.Millisecond

func (s *slowly) Read(p []byte) (int, error) {
	<-s.tick.C
	return s.Conn.Read(p[:min(len(p), s.pace*int(slowTick)/int(time.Second))])
}

// slowPeer is one end of a WebSocket connection whose program reads slowly.
type slowPeer struct {
	t testing.TB
	*slowly
	r      *bufio.Reader
	server bool // its frames are not masked
}

// slowPeerOf makes one of a connection, TLS included.
func slowPeerOf(t testing.TB, conn net.Conn, pace int) *slowPeer {
	t.Helper()
	conn.SetDeadline(time.Now().Add(4 * wstest.DefaultTimeout))
	s := &slowly{conn, pace, time.NewTicker(slowTick)}
	t.Cleanup(func() { s.tick.Stop(); conn.Close() })
	return &slowPeer{t, s, bufio.NewReaderSize(s, 1<<20), false}
}

// upgrade asks for /ws and reads the answer's head.
func (p *slowPeer) upgrade() {
	p.t.Helper()
	p.write(wstest.Request("test", "/ws"))
	if head := p.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		p.t.Fatalf("answered %q", head)
	}
}

func (p *slowPeer) head() (head string) {
	p.t.Helper()
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := p.r.ReadString('\n')
		if head += line; err != nil {
			p.t.Fatalf("head %q: %v", head, err)
		}
	}
	return head
}

func (p *slowPeer) write(b []byte) {
	p.t.Helper()
	if _, err := p.Conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// send sends frames: what slow peers say here is small.
func (p *slowPeer) send(fs ...wstest.Frame) {
	p.t.Helper()
	for _, f := range fs {
		p.write(f.Append(nil, !p.server))
	}
}

// next reads one frame; of a data message the payload is left out. Pings are
// answered.
func (p *slowPeer) next() (op perch.Opcode, size int, code perch.CloseCode) {
	p.t.Helper()
	var b []byte
	for {
		h, n, err := frame.ParseHeader(b)
		if err != nil {
			p.t.Fatalf("header %x: %v", b, err)
		}
		if n == 0 {
			c, err := p.r.ReadByte()
			if err != nil {
				p.t.Fatalf("within a header: %v", err)
			}
			b = append(b, c)
			continue
		}
		if h.Opcode.IsData() {
			got, err := io.CopyN(io.Discard, p.r, h.Length)
			if err != nil {
				p.t.Fatalf("%d of %d bytes of a message: %v", got, h.Length, err)
			}
			return h.Opcode, int(h.Length), 0
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p.r, payload); err != nil {
			p.t.Fatal(err)
		}
		if h.Masked {
			frame.Mask(payload, h.Key, 0)
		}
		switch h.Opcode {
		case frame.OpPing:
			p.send(wstest.Pong(string(payload)))
			b = nil
			continue
		case frame.OpClose:
			code, _, _ = frame.ParseClose(payload)
		}
		return h.Opcode, len(payload), code
	}
}

func (p *slowPeer) expectMessage(size int) {
	p.t.Helper()
	if op, n, code := p.next(); op != perch.Binary || n != size {
		p.t.Fatalf("got a frame %v of %d bytes, %d; want a message of %d", op, n, code, size)
	}
}

func (p *slowPeer) expectClose(code perch.CloseCode) {
	p.t.Helper()
	if op, n, got := p.next(); op != frame.OpClose || got != code {
		p.t.Fatalf("got a frame %v of %d bytes, %d; want a close with %d", op, n, got, code)
	}
}

// slowKinds are the ways in which a slow peer is connected to a server of ours, or
// we to it.
var slowKinds = []string{"tcp", "small buffer", "large buffer", "tls", "unix", "dialled"}

// startSlow starts a server with the handler and connects a slow peer to it. What
// "go" makes the handler do is up to the handler.
func startSlow(t *testing.T, kind string, pace int, cfg perch.Config, h perch.Handler) (*perch.Server, *slowPeer) {
	t.Helper()
	cfg.Loops = 1
	if kind == "dialled" {
		cfg.Addr = "-"
		srv := enginetest.Start(t, cfg, nil)
		ln := wstest.Listen(t)
		if err := srv.Dial(t.Context(), "ws://"+ln.Addr().String()+"/ws", h); err != nil {
			t.Fatal(err)
		}
		c := wstest.AcceptConn(t, ln)
		p := slowPeerOf(t, c.TCP(), pace)
		p.server = true
		return srv, p
	}
	network, addr := "tcp", ""
	if kind == "unix" {
		network, addr = "unix", filepath.Join(t.TempDir(), "socket")
		cfg.Addr = "unix:" + addr
	}
	var client *tls.Config
	if kind == "tls" {
		a := wstest.NewAuthority(t)
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{a.Issue("localhost")}}
		client = &tls.Config{RootCAs: a.Pool, ServerName: "localhost"}
	}
	srv := enginetest.StartRoute(t, cfg, h)
	if addr == "" {
		addr = srv.Addr().String()
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "small buffer":
		conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	case "large buffer":
		conn.(*net.TCPConn).SetReadBuffer(512 << 10)
	}
	if client != nil {
		conn = tls.Client(conn, client)
	}
	p := slowPeerOf(t, conn, pace)
	p.upgrade()
	return srv, p
}

// sends is a handler that sends messages of these sizes to whoever connects, and
// closes if it is told to. Prepared: they are not copied.
func sends(ended enginetest.Closes, then func(c perch.Conn), sizes ...int) perch.Handler {
	return perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) {
			for _, n := range sizes {
				c.SendPrepared(perch.Prepare(perch.Binary, make([]byte, n)))
			}
			if then != nil {
				then(c)
			}
		},
		OnClose: ended.Note,
	}
}

// TestSlowReaderLives: a peer that takes what it is sent, steadily and slowly, is
// alive, however long one message takes, and so is one that has much of it in its
// own kernel.
func TestSlowReaderLives(t *testing.T) {
	const size, pace = 3 << 20, 3 << 19 // it takes two seconds, and twice that if the machine is slow
	for _, kind := range slowKinds {
		t.Run(kind, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			cfg := perch.Config{PingInterval: 200 * time.Millisecond, PingTimeout: time.Second, CloseTimeout: time.Minute}
			srv, p := startSlow(t, kind, pace, cfg, sends(ended, nil, size))
			p.expectMessage(size)
			if s := srv.Stats(); s.HeartbeatTimeouts != 0 || s.WriteTimeouts != 0 || len(ended) != 0 {
				t.Fatalf("%d heartbeat timeouts, %d write timeouts, %d closed", s.HeartbeatTimeouts, s.WriteTimeouts, len(ended))
			}
			p.send(wstest.Close(perch.CloseNormal, ""))
			p.expectClose(perch.CloseNormal)
			p.Close()
			if err := ended.One(t, srv); err.Code != perch.CloseNormal || err.Err != nil {
				t.Errorf("closed with %v", err)
			}
		})
	}
}

// TestStuckReaderDies: a peer that takes nothing is dead in spite of what is on its
// way to it, and of the acknowledgements that its kernel still sends.
func TestStuckReaderDies(t *testing.T) {
	for _, kind := range slowKinds {
		t.Run(kind, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			cfg := perch.Config{PingInterval: 50 * time.Millisecond, PingTimeout: 150 * time.Millisecond, CloseTimeout: 50 * time.Millisecond, WriteTimeout: -1, MaxOutput: 64 << 20}
			srv, p := startSlow(t, kind, 1<<20, cfg, sends(ended, nil, 1<<20, 4<<20))
			err := ended.One(t, srv)
			if err.Code != perch.CloseHeartbeatTimeout || !errors.Is(err, perch.ErrHeartbeat) {
				t.Errorf("closed with %v", err)
			}
			p.Close()
		})
	}
}

// TestHungPeerIsFound: the kernel of a peer whose program hangs takes what it is
// sent now and then. That is no life.
func TestHungPeerIsFound(t *testing.T) {
	for _, kind := range slowKinds {
		t.Run(kind, func(t *testing.T) {
			ended, opened := make(enginetest.Closes, 1), make(chan perch.Ref, 1)
			cfg := perch.Config{PingInterval: 100 * time.Millisecond, PingTimeout: 300 * time.Millisecond, CloseTimeout: 50 * time.Millisecond, WriteTimeout: -1}
			srv, p := startSlow(t, kind, 1<<20, cfg, perch.Handler{
				OnOpen:  func(c perch.Conn, _ *perch.Request) { opened <- c.Ref() },
				OnClose: ended.Note,
			})
			ref := wstest.Receive(t, "OnOpen", opened)
			feed := time.NewTicker(20 * time.Millisecond)
			defer feed.Stop()
			enginetest.AwaitStats(t, srv, "it is found", func(s *perch.Stats) bool {
				<-feed.C
				ref.Send(perch.Text, []byte("now and then"))
				return s.HeartbeatTimeouts == 1
			})
			p.Close()
			if err := ended.One(t, srv); !errors.Is(err, perch.ErrHeartbeat) {
				t.Errorf("closed with %v", err)
			}
		})
	}
}

// TestCloseWaitsForSlowReader: the time to close is for a peer that takes nothing:
// one that takes what is queued, slowly, gets all of it and the close frame,
// whoever closes and why.
func TestCloseWaitsForSlowReader(t *testing.T) {
	const size, pace = 5 << 19, 1 << 20
	cfg := perch.Config{CloseTimeout: time.Second, MaxOutput: 1 << 20, PingInterval: -1, PingTimeout: -1, WriteTimeout: -1}
	check := func(t *testing.T, srv *perch.Server, ended enginetest.Closes, code perch.CloseCode, cause error) {
		t.Helper()
		if err := ended.One(t, srv); err.Code != code || err.Remote || !errors.Is(err, cause) && err.Err != cause {
			t.Errorf("closed with %v", err)
		}
		if s := srv.Stats(); s.CloseTimeouts != 0 || s.QueuedBytes != 0 {
			t.Errorf("%d close timeouts, %d bytes queued", s.CloseTimeouts, s.QueuedBytes)
		}
	}
	for _, kind := range []string{"tcp", "tls", "dialled"} {
		t.Run("Close/"+kind, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			srv, p := startSlow(t, kind, pace, cfg, sends(ended, func(c perch.Conn) { c.Close(perch.CloseNormal, "bye") }, size))
			p.expectMessage(size)
			p.expectClose(perch.CloseNormal)
			p.send(wstest.Close(perch.CloseNormal, ""))
			check(t, srv, ended, perch.CloseNormal, nil)
		})
		if kind == "tls" { // it reads a record at a time: too slow for what it takes to fill the kernel
			continue
		}
		t.Run("slow consumer/"+kind, func(t *testing.T) {
			const size, pace = 12 << 20, 6 << 20 // what the kernel has taken cannot be dropped
			ended := make(enginetest.Closes, 1)
			opened := make(chan perch.Ref, 1)
			srv, p := startSlow(t, kind, pace, cfg, sends(ended, func(c perch.Conn) { opened <- c.Ref() }, size))
			ref := wstest.Receive(t, "OnOpen", opened)
			enginetest.AwaitStats(t, srv, "it is being sent", func(s *perch.Stats) bool { return s.BytesSent > 4096 })
			ref.SendPrepared(perch.Prepare(perch.Binary, make([]byte, size)))
			p.expectMessage(size)
			p.expectClose(perch.CloseSlowConsumer)
			p.Close()
			check(t, srv, ended, perch.CloseSlowConsumer, perch.ErrSlowConsumer)
		})
	}
	t.Run("Shutdown", func(t *testing.T) {
		ended := make(enginetest.Closes, 1)
		srv, p := startSlow(t, "tcp", pace, cfg, sends(ended, nil, size))
		result := enginetest.Shutdown(t, srv)
		p.expectMessage(size)
		p.expectClose(perch.CloseGoingAway)
		p.send(wstest.Close(perch.CloseGoingAway, ""))
		enginetest.ExpectShutdown(t, srv, result)
		check(t, srv, ended, perch.CloseGoingAway, perch.ErrShutdown)
	})
	t.Run("refusal", func(t *testing.T) {
		srv := enginetest.StartRoute(t, cfg, perch.Handler{OnUpgrade: func(*perch.Request) perch.Response {
			return perch.Reject(http.StatusForbidden, strings.Repeat("no ", size/3))
		}})
		conn, err := net.Dial("tcp", srv.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := slowPeerOf(t, conn, pace)
		p.write(append(wstest.Request("test", "/ws"), make([]byte, 200<<10)...)) // and a body that nobody wants
		p.head()
		if n, err := io.Copy(io.Discard, struct{ io.Reader }{p.r}); n < size || err != nil {
			t.Errorf("%d bytes of %d, %v", n, size, err)
		}
	})
	t.Run("peer closes", func(t *testing.T) {
		ended := make(enginetest.Closes, 1)
		srv, p := startSlow(t, "tcp", pace, cfg, sends(ended, nil, size))
		p.send(wstest.Close(perch.CloseNormal, ""))
		p.expectMessage(size)
		p.expectClose(perch.CloseNormal)
		if err := ended.One(t, srv); err.Code != perch.CloseNormal || !err.Remote || err.Err != nil {
			t.Errorf("closed with %v", err)
		}
	})
}

// TestShutdownTellsWhatItCut: the context bounds Shutdown, and its error says how
// many connections have been cut off, and how much they have missed.
func TestShutdownTellsWhatItCut(t *testing.T) {
	const size = 4 << 20
	cut := func(t *testing.T, err, cause error) {
		t.Helper()
		said, ok := errors.AsType[*perch.ShutdownError](err)
		if !ok || !errors.Is(err, cause) || said.Connections != 1 || said.Unsent < size/4 || said.Unsent > size+1024 {
			t.Errorf("Shutdown: %v (%+v), want %v", err, said, cause)
		}
	}
	for _, kind := range []string{"tcp", "tls"} {
		t.Run("deadline/"+kind, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			srv, p := startSlow(t, kind, 1<<20, perch.Config{CloseTimeout: time.Minute}, sends(ended, nil, size))
			enginetest.AwaitStats(t, srv, "it is sent", func(s *perch.Stats) bool { return s.MessagesSent == 1 })
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			cut(t, srv.Shutdown(ctx), context.DeadlineExceeded)
			p.Close()
			if err := wstest.Receive(t, "OnClose", ended); !errors.Is(err, perch.ErrShutdown) {
				t.Errorf("closed with %v", err)
			}
		})
	}
	t.Run("stuck", func(t *testing.T) {
		ended := make(enginetest.Closes, 1)
		srv, p := startSlow(t, "tcp", 1<<20, perch.Config{CloseTimeout: 100 * time.Millisecond}, sends(ended, nil, size))
		enginetest.AwaitStats(t, srv, "it is sent", func(s *perch.Stats) bool { return s.MessagesSent == 1 })
		cut(t, wstest.Receive(t, "Shutdown", enginetest.Shutdown(t, srv)), perch.ErrCloseTimeout)
		p.Close()
	})
	t.Run("no answer", func(t *testing.T) { // it has everything: nothing is lost
		ended := make(enginetest.Closes, 1)
		srv, p := startSlow(t, "tcp", 1<<20, perch.Config{CloseTimeout: 50 * time.Millisecond}, sends(ended, nil, 100))
		p.expectMessage(100)
		if err := wstest.Receive(t, "Shutdown", enginetest.Shutdown(t, srv)); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		p.Close()
	})
}

// TestClosingIsNotHeldUp: what a peer sends instead of its close frame does not
// keep the connection.
func TestClosingIsNotHeldUp(t *testing.T) {
	ended := make(enginetest.Closes, 1)
	srv, p := startSlow(t, "tcp", 1<<20, perch.Config{CloseTimeout: 100 * time.Millisecond, Rate: enginetest.Unlimited},
		sends(ended, func(c perch.Conn) { c.Close(perch.CloseNormal, "") }))
	p.expectClose(perch.CloseNormal)
	more := time.NewTicker(10 * time.Millisecond)
	defer more.Stop()
	for len(ended) == 0 {
		<-more.C
		p.Conn.Write(wstest.Text("and another thing").Append(nil, true))
	}
	if err := ended.One(t, srv); err.Code != perch.CloseNormal || !errors.Is(err, perch.ErrCloseTimeout) {
		t.Errorf("closed with %v", err)
	}
}
