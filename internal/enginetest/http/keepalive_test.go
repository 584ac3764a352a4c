//go:build linux

package http_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Many requests on one connection, then an upgrade on it: nginx does that. What
// is sent right behind a request is not lost, in either world.
func TestKeepAliveThenUpgrade(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}, func(srv *perch.Server) {
		h := enginetest.Echo()
		h.OnOpen = func(c perch.Conn, r *perch.Request) {
			c.SendText(fmt.Sprintf("%s %s %v", r.Path(), r.PathValue("id"), r.PeerAddr() == c.RemoteAddr() && r.PeerAddr().IsValid()))
		}
		srv.Handle("/ws", h)
		srv.Handle("/live/{id}", h)
	})
	for _, target := range []string{"/ws", "/live/7", "/live/a%2Fb"} {
		for _, pipelined := range []bool{false, true} {
			c := wstest.Connect(t, srv.Addr().String())
			all := append(wstest.Request("perch.test", target), c.Encode(wstest.Text("behind it"), wstest.Binary(make([]byte, 10000)))...)
			if pipelined {
				c.Write(append([]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), all...))
			}
			for _, path := range []string{"/a", "/b"} {
				if !pipelined {
					fmt.Fprintf(c.TCP(), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
				}
				if r := c.ReadResponse(); r.Status != 200 || r.Body != path {
					t.Fatalf("%s: %d %q", path, r.Status, r.Body)
				}
			}
			if !pipelined {
				c.Write(all)
			}
			c.ExpectUpgraded()
			id := strings.TrimPrefix(strings.TrimPrefix(target, "/ws"), "/live/")
			c.ExpectText(fmt.Sprintf("%s %s true", target, strings.ReplaceAll(id, "%2F", "/")))
			c.ExpectText("behind it")
			c.Expect(perch.Binary, make([]byte, 10000))
			c.CloseHandshake(perch.CloseNormal)
			c.Close()
		}
	}
	if s := enginetest.AwaitStats(t, srv, "they are gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.HandedOff != 6 || s.TakenOver != 6 || s.Opened != 6 || s.Accepted != 6 {
		t.Errorf("%d accepted, %d handed off, %d taken over, %d opened", s.Accepted, s.HandedOff, s.TakenOver, s.Opened)
	}
}

// A WebSocket route answers what is no upgrade, or not a good one, on a
// connection that has served requests before as on a fresh one.
func TestKeepAliveBadUpgrade(t *testing.T) {
	srv := startHTTP(t, perch.Config{})
	c := wstest.Connect(t, srv.Addr().String())
	if status, _ := enginetest.Get(t, c, "/health"); status != 200 {
		t.Fatalf("status %d", status)
	}
	if status, body := enginetest.Get(t, c, "/ws"); status != 426 {
		t.Errorf("no upgrade: %d %q", status, body)
	}
	c.Write(wstest.Request("perch.test", "/ws", "Origin: http://evil.example"))
	if r := c.ReadResponse(); r.Status != 403 {
		t.Errorf("a foreign page: %d", r.Status)
	}
	c.Write(wstest.Request("perch.test", "/none"))
	if r := c.ReadResponse(); r.Status != 404 {
		t.Errorf("an upgrade on a path that is none: %d", r.Status)
	}
	if status, _ := enginetest.Get(t, c, "/health"); status != 200 {
		t.Errorf("the connection is not what it was: %d", status)
	}
	c.Write(wstest.Request("perch.test", "/ws"))
	c.ExpectUpgraded()
}

// An upgrade that no route wants is the HTTP handler's, which may have a router
// of its own with our routes in it.
func TestRouteInsideHTTP(t *testing.T) {
	mux := http.NewServeMux()
	srv := enginetest.Start(t, perch.Config{HTTP: mux}, func(srv *perch.Server) {
		live := srv.Route(enginetest.Echo())
		mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("token") != "good" {
				http.Error(w, "a token, please", http.StatusUnauthorized)
				return
			}
			live.Upgrade(w, r)
		})
	})
	c, r := enginetest.Upgrade(t, srv, "/live")
	if r.Status != 401 {
		t.Errorf("without a token: %d", r.Status)
	}
	c.Write(wstest.Request("perch.test", "/live?token=good"))
	c.ExpectUpgraded()
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	if s := srv.Stats(); s.TakenOver != 1 || s.Connections != 1 {
		t.Errorf("%d taken over, %d connections", s.TakenOver, s.Connections)
	}
}

// What net/http's users expect of a connection holds on ours.
func TestKeepAliveWire(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /length", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "%d;", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
		}
	})
	mux.HandleFunc("GET /hijack", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		go func() {
			defer c.Close()
			line, err := rw.ReadString('\n')
			fmt.Fprintf(c, "you said %q, %v", line, err)
		}()
	})
	mux.HandleFunc("GET /remote", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	srv := enginetest.Start(t, perch.Config{HTTP: mux, WriteTimeout: 100 * time.Millisecond}, nil)
	addr := srv.Addr().String()

	t.Run("Expect: 100-continue", func(t *testing.T) {
		c := wstest.Connect(t, addr)
		for range 2 {
			c.Write([]byte("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
			r := bufio.NewReader(c.TCP())
			if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			r.ReadString('\n')
			c.Write([]byte("12345"))
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != "5 <nil>" {
				t.Errorf("%q", body)
			}
		}
	})
	t.Run("HEAD and pipelining", func(t *testing.T) {
		c := wstest.Connect(t, addr)
		c.Write([]byte(strings.Repeat("HEAD /remote HTTP/1.1\r\nHost: a\r\n\r\n", 3) + "GET /remote HTTP/1.1\r\nHost: a\r\n\r\n"))
		r := bufio.NewReader(c.TCP())
		for _, method := range []string{"HEAD", "HEAD", "HEAD", "GET"} {
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if want := c.TCP().LocalAddr().String(); resp.ContentLength != int64(len(want)) || method == "GET" && string(body) != want {
				t.Errorf("%s: %q of %d bytes, want %s", method, body, resp.ContentLength, want)
			}
		}
	})
	t.Run("chunks and Flush", func(t *testing.T) {
		c := wstest.Connect(t, addr)
		c.Write([]byte("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"))
		resp, err := http.ReadResponse(bufio.NewReader(c.TCP()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "0;1;2;" || err != nil || len(resp.TransferEncoding) != 1 {
			t.Errorf("%q, %v, %v", body, err, resp.TransferEncoding)
		}
	})
	t.Run("Hijack", func(t *testing.T) {
		c := wstest.Connect(t, addr)
		c.Write([]byte("GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n"))
		c.ExpectSilence(300 * time.Millisecond) // our timeouts are not its
		c.TCP().SetReadDeadline(time.Time{})
		c.Write([]byte("hello\n"))
		if b, err := io.ReadAll(c.TCP()); string(b) != `you said "hello\n", <nil>` {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("large upload", func(t *testing.T) {
		c := wstest.Connect(t, addr)
		const size = 64 << 20
		fmt.Fprintf(c.TCP(), "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		if n, err := io.Copy(c.TCP(), io.LimitReader(enginetest.Endless{}, size)); n != size {
			t.Fatal(err)
		}
		if r := c.ReadResponse(); r.Body != strconv.Itoa(size)+" <nil>" {
			t.Errorf("%q", r.Body)
		}
	})
}

// Timeouts of plain HTTP: a connection that is idle, one that does not finish its
// head, one whose body stalls, one that takes nothing; but not one that is slow
// and goes on, nor a handler that takes its time.
func TestKeepAliveTimeouts(t *testing.T) {
	const timeout = 200 * time.Millisecond
	failed := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			failed <- err
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("GET /slow", enginetest.Slow(3*timeout))
	mux.HandleFunc("GET /much", enginetest.Much(failed))
	mux.HandleFunc("POST /own", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * timeout))
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, err)
	})
	srv := enginetest.Start(t, perch.Config{HTTP: mux, IdleTimeout: timeout, HandshakeTimeout: timeout, WriteTimeout: timeout}, nil)
	connect := func() *wstest.Conn {
		c := wstest.Connect(t, srv.Addr().String())
		if status, _ := enginetest.Get(t, c, "/"); status != 200 {
			t.Fatalf("status %d", status)
		}
		return c
	}
	t.Run("idle", func(t *testing.T) { connect().ExpectEOF() })
	t.Run("head", func(t *testing.T) {
		for _, head := range []string{"G", "GET / HTTP/1.1\r\nHost:"} {
			c, begin := connect(), time.Now()
			c.Write([]byte(head))
			if r := c.ReadResponse(); r.Status != 408 {
				t.Errorf("%q: status %d", head, r.Status)
			}
			c.ExpectEOF()
			if d := time.Since(begin); d < timeout {
				t.Errorf("after %v", d)
			}
		}
	})
	t.Run("body stalls", func(t *testing.T) {
		c := connect()
		c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123"))
		if err := wstest.Receive(t, "the handler's error", failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it reads %v", err)
		}
	})
	t.Run("slow body", func(t *testing.T) {
		c := connect()
		c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"))
		for range 10 {
			time.Sleep(timeout / 4) // the sum is over every timeout
			c.Write([]byte("x"))
		}
		if r := c.ReadResponse(); r.Body != "10" {
			t.Errorf("%d %q", r.Status, r.Body)
		}
	})
	t.Run("slow handler", func(t *testing.T) {
		if status, body := enginetest.Get(t, connect(), "/slow"); status != 200 || body != "<nil>" {
			t.Errorf("%d %q", status, body)
		}
	})
	t.Run("handler's own deadline", func(t *testing.T) {
		c := connect()
		c.Write([]byte("POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123"))
		c.ExpectSilence(2 * timeout)
		c.Write([]byte("45"))
		if r := c.ReadResponse(); r.Body != "<nil>" {
			t.Errorf("%d %q", r.Status, r.Body)
		}
	})
	t.Run("nothing taken", func(t *testing.T) {
		c := connect()
		c.Write([]byte("GET /much HTTP/1.1\r\nHost: a\r\n\r\n"))
		if err := wstest.Receive(t, "the handler's error", failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it writes until %v", err)
		}
	})
	enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections <= 5 })
}

// Connections of plain HTTP count for their address as long as they live, and so
// do those that become WebSockets.
func TestKeepAliveCounts(t *testing.T) {
	srv := startHTTP(t, perch.Config{Addr: "127.0.0.1:0", Loops: 1})
	c := wstest.Connect(t, srv.Addr().String())
	enginetest.Get(t, c, "/health")
	if n := srv.Stats().Connections; n != 1 {
		t.Errorf("%d connections while one is kept alive", n)
	}
	c.Write(wstest.Request("perch.test", "/ws"))
	c.ExpectUpgraded()
	if n := srv.Stats().Connections; n != 1 {
		t.Errorf("%d connections when it is a WebSocket", n)
	}
	c.CloseHandshake(perch.CloseNormal)
	enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
}

// Shutdown closes what is idle at once, and waits for what is at work.
func TestKeepAliveShutdown(t *testing.T) {
	arrived, release := make(chan bool, 1), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) { arrived <- true; <-release })
	srv := enginetest.Start(t, perch.Config{HTTP: mux}, func(srv *perch.Server) { srv.Handle("/ws", enginetest.Echo()) })
	idle, busy, ws := wstest.Connect(t, srv.Addr().String()), wstest.Connect(t, srv.Addr().String()), enginetest.Dial(t, srv)
	enginetest.Get(t, idle, "/")
	busy.Write([]byte("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"))
	wstest.Receive(t, "the request", arrived)
	down := enginetest.Shutdown(t, srv)
	ws.ExpectClose(perch.CloseGoingAway)
	idle.ExpectEOF() // while a WebSocket connection has not answered yet
	ws.Send(wstest.Close(perch.CloseGoingAway, ""))
	ws.ExpectEOF()
	select {
	case err := <-down:
		t.Fatalf("it has not waited for the request: %v", err)
	default:
	}
	close(release)
	if r := busy.ReadResponse(); r.Status != 200 || r.Header("Connection") != "close" {
		t.Errorf("%s", r.Head)
	}
	enginetest.ExpectShutdown(t, srv, down)
}

// Requests, upgrades and evictions at once: every request is answered, or its
// connection was closed between two of them, as HTTP allows.
func TestKeepAliveStorm(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	srv := enginetest.Start(t, perch.Config{HTTP: mux, MaxHTTP: 8, NewConnectionsPerSecond: -1}, func(srv *perch.Server) { srv.Handle("/ws", enginetest.Echo()) })
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for n := range 30 {
				c := wstest.Connect(t, srv.Addr().String())
				for k := range 3 {
					path := fmt.Sprintf("/%d/%d/%d", g, n, k)
					if c.TryWrite([]byte("GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")) != nil {
						break
					}
					r, err := c.TryReadResponse()
					if err != nil && k > 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) || err == nil && r.Status == 503 && k == 0 {
						break
					}
					if err != nil || r.Status != 200 || r.Body != path {
						t.Errorf("%s: %v, %v", path, r, err)
						break
					}
				}
				if n%3 == 0 && c.TryWrite(wstest.Request("a", "/ws")) == nil {
					if r, err := c.TryReadResponse(); err == nil && r.Status == 101 {
						c.Send(wstest.Text("hello"))
						c.ExpectText("hello")
					}
				}
				c.Close()
			}
		})
	}
	all.Wait()
	enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
}

// The client of the standard library, as most people meet us.
func TestKeepAliveClient(t *testing.T) {
	srv := startHTTP(t, perch.Config{})
	dialled := 0
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}}
	for range 20 {
		resp, err := client.Get("http://" + srv.Addr().String() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	if s := enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 }); dialled != 1 || s.HandedOff != 1 {
		t.Errorf("%d dialled, %d handed off, for 20 requests", dialled, s.HandedOff)
	}
}
