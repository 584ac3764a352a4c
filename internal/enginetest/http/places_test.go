//go:build linux

package http_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

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
			release := make(chan struct{})
			mux := http.NewServeMux()
			mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					r.Body.Read(make([]byte, 1000))
					r.Body.Read(make([]byte, 1000)) // waits
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(page)))
				w.Write([]byte(page))
			})
			mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-release:
				case <-r.Context().Done():
				}
			})
			srv := enginetest.Start(t, perch.Config{HTTP: mux, MaxHTTP: places}, nil)
			defer close(release)
			addr := srv.Addr().String()
			var greedy []*wstest.Conn
			for range places {
				c := wstest.ConnectFrom(t, "127.0.0.2", addr)
				c.Write([]byte(attack.request))
				greedy = append(greedy, c)
			}
			enginetest.AwaitStats(t, srv, "all have places", func(s *perch.Stats) bool { return s.HandedOff == places })
			status := func(local string) int {
				c := wstest.ConnectFrom(t, local, addr)
				defer c.Close()
				c.Write([]byte("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
				r := c.ReadResponse()
				if r.Status == 200 && len(r.Body) != len(page) {
					t.Errorf("a page of %d bytes", len(r.Body))
				}
				return r.Status
			}
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
