//go:build linux

package http_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// startHTTP serves an echo on /ws, and plain HTTP beside it.
func startHTTP(t *testing.T, cfg perch.Config) *perch.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
		io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	mux.HandleFunc("GET /remote", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	cfg.HTTP = mux
	return enginetest.StartRoute(t, cfg, enginetest.Echo())
}

// exchange sends a request on a connection of its own and returns the response,
// read by net/http, behind which there is nothing.
func exchange(t testing.TB, srv *perch.Server, method, request string) (*http.Response, string) {
	t.Helper()
	c := wstest.Connect(t, srv.Addr().String())
	go c.TryWrite([]byte(request))
	resp, err := http.ReadResponse(bufio.NewReader(c.TCP()), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.40q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%.40q: %v", request, err)
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(c.TCP()); err != nil || len(rest) > 0 {
		t.Errorf("%.40q: behind the response: %q, %v", request, rest, err)
	}
	c.Close()
	return resp, string(body)
}

func TestPlainHTTP(t *testing.T) {
	srv := startHTTP(t, perch.Config{})
	for _, tc := range []struct {
		name, method, request string
		status                int
		body                  string
	}{
		{"GET", "GET", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 200, "ok\n"},
		{"HEAD", "HEAD", "HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", 200, ""},
		{"HTTP/1.0", "GET", "GET /health HTTP/1.0\r\n\r\n", 200, "ok\n"},
		{"keep-alive asked for", "GET", "GET /health HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 200, "ok\n"},
		{"not found", "GET", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "404 page not found\n"},
		{"WebSocket path", "GET", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426, "this path speaks WebSocket only\n"},
		{"blank line first", "GET", "\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n", 200, "ok\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, body := exchange(t, srv, tc.method, tc.request)
			if resp.StatusCode != tc.status || body != tc.body {
				t.Errorf("status %d, %q, want %d, %q", resp.StatusCode, body, tc.status, tc.body)
			}
			if kept := tc.status != 426 && tc.name != "HTTP/1.0"; kept == resp.Close {
				t.Errorf("said to be closed: %v", resp.Close)
			}
		})
	}
	if s := enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.HandedOff != 6 || s.Opened != 0 {
		t.Errorf("%d handed off, %d opened", s.HandedOff, s.Opened)
	}
	_, body := exchange(t, srv, "GET", "GET /remote HTTP/1.1\r\nHost: a\r\n\r\n")
	if !strings.HasPrefix(body, "127.0.0.1:") {
		t.Errorf("remote address %q", body)
	}
}

// A body comes in as many pieces as it likes, some of them with the head.
func TestPlainHTTPBody(t *testing.T) {
	srv := startHTTP(t, perch.Config{})
	for _, size := range []int{0, 1, 60 << 10, 64 << 10, 200 << 10, 4 << 20} {
		p := bytes.Repeat([]byte("perch"), size/5+1)[:size]
		want := fmt.Sprintf("%d %x <nil>", size, sha256.Sum256(p))
		head := fmt.Sprintf("POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		if _, body := exchange(t, srv, "POST", head+string(p)); body != want {
			t.Errorf("%d bytes: %s, want %s", size, body, want)
		}
	}
	// Byte by byte up to the middle of the body.
	c := wstest.Connect(t, srv.Addr().String())
	if err := c.TryChopBytes(1, []byte("POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nper")); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("ch\r\n0\r\n\r\n"))
	if r := c.ReadResponse(); r.Body != fmt.Sprintf("5 %x <nil>", sha256.Sum256([]byte("perch"))) {
		t.Errorf("chopped: %s%s", r.Head, r.Body)
	}
}

// Requests and WebSocket connections side by side, many at a time.
func TestPlainHTTPConcurrent(t *testing.T) {
	srv := startHTTP(t, perch.Config{NewConnectionsPerSecond: -1})
	addr := srv.Addr().String()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 64}, Timeout: wstest.DefaultTimeout}
	ws := enginetest.Dial(t, srv)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := bytes.Repeat([]byte{byte(i)}, i*1000)
			resp, err := client.Post("http://"+addr+"/sum", "text/plain", bytes.NewReader(p))
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if want := fmt.Sprintf("%d %x <nil>", len(p), sha256.Sum256(p)); err != nil || string(body) != want {
				t.Errorf("request %d: %s, %v, want %s", i, body, err, want)
			}
		}()
	}
	for range 100 {
		ws.Send(wstest.Text("beside it"))
		ws.ExpectText("beside it")
	}
	wg.Wait()
	client.CloseIdleConnections()
	if s := enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 1 }); s.HandedOff == 0 || s.HandedOff > 200 {
		t.Errorf("%d connections handed off for 200 requests", s.HandedOff)
	}
}

// As many as arrive in one tick: the way to net/http must not lose any.
func TestPlainHTTPBurst(t *testing.T) {
	const clients = 600
	srv := startHTTP(t, perch.Config{Loops: 1, NewConnectionsPerSecond: -1})
	var all []*wstest.Conn
	for range clients {
		all = append(all, wstest.Connect(t, srv.Addr().String()))
	}
	for _, c := range all {
		c.Write([]byte("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	for i, c := range all {
		if r, err := c.TryReadResponse(); err != nil || r.Status != 200 && r.Status != 503 {
			t.Fatalf("client %d: %v, %v", i, r, err)
		}
		c.Close()
	}
}

// Without a handler there is nothing but WebSocket.
func TestNoHTTPHandler(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	if resp, _ := exchange(t, srv, "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 404 {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
	if resp, _ := exchange(t, srv, "GET", "GET / HTTP/1.0\r\n\r\n"); resp.StatusCode != 404 {
		t.Errorf("HTTP/1.0: status %d, want 404", resp.StatusCode)
	}
}
