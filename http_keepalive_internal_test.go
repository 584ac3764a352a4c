//go:build linux

package perch

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

// startHTTP runs a server on a free port whose WebSocket route is /ws.
func startHTTP(t *testing.T, cfg Config) *Server {
	t.Helper()
	wstest.NoLeaks(t)
	cfg.Addr = "127.0.0.1:0"
	srv := New(cfg)
	srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.Close()
		if err := srv.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return srv
}

// idleHTTP is the number of plain HTTP connections that net/http has found idle: a client
// has its response a moment earlier.
func idleHTTP(srv *Server) int {
	srv.web.mu.Lock()
	defer srv.web.mu.Unlock()
	return srv.web.idle.Len()
}

// get sends a request on c and reads the response.
func get(t *testing.T, c *wstest.Conn, target string) (int, string) {
	t.Helper()
	fmt.Fprintf(c.TCP(), "GET %s HTTP/1.1\r\nHost: perch.test\r\n\r\n", target)
	r := c.ReadResponse()
	return r.Status, r.Body
}

// Idle connections do not keep others out: the one idle longest makes room, be it
// that MaxHTTP or MaxConnections is reached. Those at work do.
func TestKeepAliveMakesRoom(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
	}{
		{"MaxHTTP", Config{MaxHTTP: 3}},
		{"MaxConnections", Config{MaxConnections: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			release := make(chan bool)
			mux := http.NewServeMux()
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {})
			mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) { <-release })
			tc.cfg.HTTP, tc.cfg.Loops = mux, 1
			srv := startHTTP(t, tc.cfg)
			connect := func() *wstest.Conn { return wstest.Connect(t, srv.Addr().String()) }
			var idle []*wstest.Conn
			settled := func(n int) {
				wstest.Eventually(t, "net/http knows that they are idle", func() bool { return idleHTTP(srv) == n })
			}
			for n := range 3 {
				c := connect()
				if status, _ := get(t, c, "/"); status != 200 {
					t.Fatalf("status %d", status)
				}
				settled(n + 1)
				idle = append(idle, c)
				if tc.name == "MaxHTTP" { // WebSocket connections are counted apart
					wstest.Dial(t, srv.Addr().String(), "/ws")
				}
			}
			if status, _ := get(t, idle[0], "/"); status != 200 { // now it is the youngest
				t.Fatalf("status %d", status)
			}
			settled(3)
			var busy []*wstest.Conn
			for n := range 3 {
				c := connect()
				c.Write([]byte("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"))
				idle[(n+1)%3].ExpectEOF()
				busy = append(busy, c)
			}
			c := connect()
			if status, _ := get(t, c, "/"); status != 503 {
				t.Errorf("with all at work: status %d, want 503", status)
			}
			c.Close()
			close(release)
			for _, c := range busy {
				if r := c.ReadResponse(); r.Status != 200 {
					t.Errorf("status %d", r.Status)
				}
			}
			settled(3)
			if tc.name == "MaxConnections" {
				wstest.Dial(t, srv.Addr().String(), "/ws") // an upgrade needs room too
			} else if status, _ := get(t, connect(), "/"); status != 200 {
				t.Errorf("status %d", status)
			}
			wstest.Eventually(t, "the refused one is gone", func() bool { return srv.Stats().Refused == 1 })
			if n := srv.Stats().Connections; n > 6 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
