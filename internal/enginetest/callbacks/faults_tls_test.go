//go:build linux

package callbacks_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// badCache is a session cache with a fault in Put, which crypto/tls calls when a ticket
// comes: with TLS 1.3 behind the handshake, so on the loop.
type badCache struct {
	puts  *atomic.Int64
	fault func()
}

func (c badCache) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (c badCache) Put(string, *tls.ClientSessionState)        { c.puts.Add(1); c.fault() }

// The functions of a tls.Config, by every fault: of the server, and of a dial, on the
// goroutine of the handshake and on the loop.
func TestTLSCallbackFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			cfg, client := enginetest.Secured(t, perch.Config{Loops: 1})
			certificate := cfg.TLS.Certificates[0]
			cfg.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if armed.CompareAndSwap(true, false) {
					fault()
				}
				return &certificate, nil
			}}
			srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
			beside := enginetest.DialTLS(t, srv, client)
			armed.Store(true)
			if err := wstest.Connect(t, srv.Addr().String()).TrySecure(client); err == nil {
				t.Error("a handshake without a certificate")
			}
			url := fmt.Sprintf("wss://localhost:%d/ws", srv.Addr().(*net.TCPAddr).Port)
			dialWith := func(c *tls.Config) error {
				closed := make(chan error, 1)
				h := perch.Handler{OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err }}
				if err := srv.DialWith(context.Background(), url, perch.DialOptions{TLS: c}, h); err != nil {
					t.Fatal(err)
				}
				return wstest.Receive(t, "OnClose", closed)
			}
			verifying := client.Clone()
			verifying.VerifyConnection = func(tls.ConnectionState) error { fault(); return nil }
			if err := dialWith(verifying); !errors.Is(err, perch.ErrDial) || !errors.Is(err, perch.ErrPanic) {
				t.Errorf("a fault of VerifyConnection: %v", err)
			}
			var puts atomic.Int64
			caching := client.Clone()
			caching.ClientSessionCache = badCache{&puts, fault}
			if err := dialWith(caching); !errors.Is(err, perch.ErrPanic) || puts.Load() == 0 {
				t.Errorf("a fault of ClientSessionCache.Put, called %d times: %v", puts.Load(), err)
			}
			for _, c := range []*wstest.Conn{beside, enginetest.DialTLS(t, srv, client)} {
				c.Send(wstest.Text("still here"))
				c.ExpectText("still here")
			}
			enginetest.AwaitStats(t, srv, "three faults are counted, and the bystanders are left", func(s *perch.Stats) bool {
				return s.Panics == 3 && s.Connections == 2
			})
		})
	}
}

// OnUpgrade in a foreign net/http server, and a handler of plain HTTP, by every fault.
func TestHTTPCallbackFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			var route *perch.Route
			srv := enginetest.Start(t, perch.Config{Loops: 1, HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/fault" {
					fault()
				}
			})}, func(srv *perch.Server) {
				srv.Handle("/ws", enginetest.Echo())
				route = srv.Route(perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { fault(); return perch.Response{} }})
			})
			foreign := httptest.NewUnstartedServer(route)
			foreign.Config.ErrorLog = log.New(io.Discard, "", 0)
			foreign.Start()
			defer foreign.Close()
			beside := enginetest.Dial(t, srv)
			c := wstest.Connect(t, foreign.Listener.Addr().String())
			c.Write(wstest.Request("perch.test", "/"))
			if r, err := c.TryReadResponse(); err == nil && r.Status != 500 {
				t.Errorf("answered %d", r.Status)
			}
			c.Close()
			c = wstest.Connect(t, srv.Addr().String())
			c.Write([]byte("GET /fault HTTP/1.1\r\nHost: perch.test\r\n\r\n"))
			if r, err := c.TryReadResponse(); err == nil {
				t.Errorf("answered %d", r.Status)
			}
			c.Close()
			c = wstest.Connect(t, srv.Addr().String())
			c.Write([]byte("GET / HTTP/1.1\r\nHost: perch.test\r\n\r\n"))
			if r := c.ReadResponse(); r.Status != 200 {
				t.Errorf("answered %d", r.Status)
			}
			c.Close()
			beside.Send(wstest.Text("still here"))
			beside.ExpectText("still here")
			enginetest.AwaitStats(t, srv, "the bystander is left", func(s *perch.Stats) bool { return s.Panics >= 1 && s.Connections == 1 })
		})
	}
}
