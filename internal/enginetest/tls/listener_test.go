//go:build linux

package tls_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// siteTLS serves h by a net/http server on a listener of ours, and returns its
// address.
func siteTLS(t *testing.T, h http.Handler, config *tls.Config) string {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := perch.TLSListener(inner, config)
	if err != nil {
		t.Fatal(err)
	}
	site := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- site.Serve(ln) }()
	t.Cleanup(func() { site.Close(); <-done })
	return inner.Addr().String()
}

// The connection moves to a loop with its TLS, and with what net/http and
// crypto/tls have read of it.
func TestTakeoverTLS(t *testing.T) {
	for _, v := range versions {
		for _, private := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %s, private tables %v", v.name, private), func(t *testing.T) {
				if private {
					enginetest.NeedPrivateTables(t)
				}
				cfg, client := enginetest.Secured(t, perch.Config{Addr: "-", PrivateFDs: private})
				client.MinVersion, client.MaxVersion = v.id, v.id
				config := cfg.TLS
				cfg.TLS = nil
				var live *perch.Route
				srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
					h := enginetest.Echo()
					h.OnOpen = func(c perch.Conn, r *perch.Request) {
						c.SendText(fmt.Sprint(r.TLS() != nil && r.TLS().Version == v.id, c.RemoteAddr() == r.PeerAddr()))
					}
					live = srv.Route(h)
				})
				mux := http.NewServeMux()
				mux.Handle("GET /live", live)
				mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.TLS != nil) })
				addr := siteTLS(t, mux, config)
				for _, records := range []int{1 << 20, 100, 1} { // bytes in each
					c := wstest.Connect(t, addr)
					cut := c.SecureThrough(client)
					c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
					if r := c.ReadResponse(); r.Body != "true" {
						t.Errorf("%s%s", r.Head, r.Body)
					}
					cut.Hold()
					large := strings.Repeat("x", 3000)
					b := append(wstest.Request("perch.test", "/live"), c.Encode(wstest.Text("first"), wstest.Text(large))...)
					if err := c.TryChopBytes(records, b); err != nil {
						t.Fatal(err)
					}
					all := cut.Release()
					for _, part := range [][]byte{all[:len(all)-1], all[len(all)-1:]} { // a record that is cut goes with it
						if _, err := c.TCP().Write(part); err != nil {
							t.Fatal(err)
						}
					}
					c.ExpectUpgraded()
					c.ExpectText("true true")
					c.ExpectText("first")
					c.ExpectText(large)
					c.Send(wstest.Text("and on"))
					c.ExpectText("and on")
					c.CloseHandshake(perch.CloseNormal)
					c.Close()
				}
				if s := enginetest.AwaitStats(t, srv, "they are closed", func(s *perch.Stats) bool { return s.Connections == 0 && s.Closed == 3 }); s.TakenOver != 3 {
					t.Errorf("%d taken over, %d closed", s.TakenOver, s.Closed)
				}
			})
		}
	}
}

// A server that ends says so over TLS too, and a connection that is not taken
// over is closed in order.
func TestTakeoverTLSRefused(t *testing.T) {
	cfg, client := enginetest.Secured(t, perch.Config{Addr: "-", Loops: 1, MaxConnections: 1})
	config := cfg.TLS
	cfg.TLS = nil
	var live *perch.Route
	srv := enginetest.Start(t, cfg, func(srv *perch.Server) { live = srv.Route(enginetest.Echo()) })
	addr := siteTLS(t, live, config)
	c := wstest.DialTLS(t, addr, "/", client)
	no := wstest.Connect(t, addr)
	no.Secure(client)
	no.Write(wstest.Request("perch.test", "/"))
	if r := no.ReadResponse(); r.Status != 503 || r.Header("Retry-After") == "" {
		t.Errorf("over the limit: %d", r.Status)
	}
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	down := enginetest.Shutdown(t, srv)
	c.ExpectClose(perch.CloseGoingAway)
	c.Send(wstest.Close(perch.CloseGoingAway, ""))
	c.ExpectEOF() // behind close_notify, or it is none
	enginetest.ExpectShutdown(t, srv, down)
}

// A configuration that cannot serve is refused at once.
func TestTLSListenerConfig(t *testing.T) {
	if _, err := perch.TLSListener(nil, &tls.Config{}); err == nil {
		t.Error("no certificate is no error")
	}
}

// Another one's TLS is not ours to take: the client and the handler are told.
func TestTakeoverForeignTLS(t *testing.T) {
	var live *perch.Route
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) { live = srv.Route(enginetest.Echo()) })
	result := make(chan error, 1)
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { result <- live.Upgrade(w, r) }))
	defer site.Close()
	c := wstest.Connect(t, site.Listener.Addr().String())
	c.Secure(&tls.Config{InsecureSkipVerify: true})
	c.Write(wstest.Request("perch.test", "/"))
	if r := c.ReadResponse(); r.Status != 501 {
		t.Errorf("answered %d", r.Status)
	}
	var no *perch.UpgradeError
	if err := wstest.Receive(t, "Upgrade's error", result); !errors.Is(err, perch.ErrTLS) || !errors.As(err, &no) || no.Status != 501 || err.Error() == "" {
		t.Errorf("Upgrade: %v", err)
	}
	if n := srv.Stats().Connections; n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}
