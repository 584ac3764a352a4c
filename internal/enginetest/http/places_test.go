//go:build linux

package http_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// TestHTTPShares: clients that keep all places of plain HTTP busy, and so from those who only want a page, lose some to
// them: those that have been at work longest. Their own new requests are refused.
func TestHTTPShares(t *testing.T) {
	const places = 16
	page := strings.Repeat("x", 1<<20)
	for _, attack := range []struct{ name, request string }{
		{"unread answers", strings.Repeat("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", 100)},
		{"a slow body", "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"},
		{"a handler that waits", "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			srv := startPages(t, page, perch.Config{MaxHTTP: places, WriteTimeout: time.Hour}) // nobody has stalled
			addr := srv.Addr().String()
			var greedy []*wstest.Conn
			for range places {
				c := wstest.ConnectFrom(t, "127.0.0.2", addr)
				c.Write([]byte(attack.request))
				greedy = append(greedy, c)
			}
			enginetest.AwaitStats(t, srv, "all have places", func(s *perch.Stats) bool { return s.HandedOff == places })
			status := func(local string) int { return statusOf(t, local, addr, page) }
			if got := status("127.0.0.2"); got != 503 {
				t.Errorf("a new request of the same client: %d", got)
			}
			for i := range 8 {
				if got := status("127.0.0." + strconv.Itoa(10+i)); got != 200 {
					t.Errorf("another client: %d", got)
				}
			}
			if n := srv.Stats().Connections; n > places {
				t.Errorf("%d connections", n)
			}
			for _, c := range greedy {
				c.Close()
			}
			enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
		})
	}
}

// startPages serves a page, which reads what is sent for it first, and one that waits until the test ends.
func startPages(t *testing.T, page string, cfg perch.Config) *perch.Server {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.Write([]byte(page))
	})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	cfg.HTTP = mux
	return enginetest.Start(t, cfg, nil)
}

// statusOf is what a client of an address is answered that wants the page.
func statusOf(t *testing.T, local, addr, page string) int {
	t.Helper()
	c := wstest.ConnectFrom(t, local, addr)
	defer c.Close()
	c.Write([]byte("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	r := c.ReadResponse()
	if r.Status == 200 && len(r.Body) != len(page) {
		t.Errorf("a page of %d bytes", len(r.Body))
	}
	return r.Status
}

// TestHTTPStalled: if no address has more places than others, those make room that have stalled: they take nothing of
// an answer, or send nothing of a body. Those whose handler takes its time have not.
func TestHTTPStalled(t *testing.T) {
	const places, patience = 8, 6 * time.Second // a connection has stalled after 200 ms
	page := strings.Repeat("x", 8<<20)
	for _, attack := range []struct {
		name, request string
		yields        bool
	}{
		{"an unread answer", "GET /page HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"a body that does not come", "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx", true},
		{"a handler that waits", "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", false},
	} {
		t.Run(attack.name, func(t *testing.T) {
			srv := startPages(t, page, perch.Config{MaxHTTP: places, WriteTimeout: patience})
			addr := srv.Addr().String()
			begin := time.Now()
			for i := range places {
				wstest.ConnectFrom(t, "127.0.0."+strconv.Itoa(20+i), addr).Write([]byte(attack.request))
			}
			enginetest.AwaitStats(t, srv, "all have places", func(s *perch.Stats) bool { return s.HandedOff == places })
			if !attack.yields {
				time.Sleep(patience / 10) // what must not happen cannot be awaited
				if got := statusOf(t, "127.0.0.9", addr, page); got != 503 {
					t.Errorf("another client: %d", got)
				}
				return
			}
			for got := 0; got != 200; {
				if got = statusOf(t, "127.0.0.9", addr, page); got != 200 && time.Since(begin) > patience/2 {
					t.Fatalf("another client: %d", got)
				}
			}
		})
	}
}
