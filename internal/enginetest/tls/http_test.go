//go:build linux

package tls_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// startHTTPS serves h beside an echo on /ws, over one version of TLS.
func startHTTPS(t *testing.T, version uint16, cfg perch.Config, h http.Handler) (*perch.Server, *tls.Config) {
	t.Helper()
	cfg, client := enginetest.Secured(t, cfg)
	client.MinVersion, client.MaxVersion = version, version
	cfg.HTTP = h
	return enginetest.StartRoute(t, cfg, enginetest.Echo()), client
}

// connectTLS opens a connection and does the TLS handshake.
func connectTLS(t testing.TB, srv *perch.Server, client *tls.Config) *wstest.Conn {
	t.Helper()
	c := wstest.Connect(t, srv.Addr().String())
	c.Secure(client)
	return c
}

// page tells what net/http knows of a request.
func page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v %s", r.URL.Path, r.TLS != nil && r.TLS.HandshakeComplete && r.TLS.ServerName == "localhost", r.RemoteAddr)
	})
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	return mux
}

// The client of the standard library sees a site like any other: one connection
// for all requests, whatever the size of their bodies.
func TestHTTPS(t *testing.T) {
	for _, v := range versions {
		t.Run("TLS "+v.name, func(t *testing.T) {
			srv, config := startHTTPS(t, v.id, perch.Config{}, page())
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: wstest.DefaultTimeout}
			site := "https://" + srv.Addr().String()
			for range 3 {
				resp, err := client.Get(site + "/a")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.HasPrefix(string(body), "/a true 127.0.0.1:") || resp.ProtoMajor != 1 || resp.TLS.Version != v.id {
					t.Errorf("%s by HTTP/%d: %q", resp.Status, resp.ProtoMajor, body)
				}
			}
			for _, size := range []int{0, 1, 16 << 10, 60 << 10, 200 << 10, 4 << 20} {
				p := bytes.Repeat([]byte("perch"), size/5+1)[:size]
				resp, err := client.Post(site+"/sum", "text/plain", bytes.NewReader(p))
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprintf("%d %x <nil>", size, sha256.Sum256(p)); string(body) != want {
					t.Errorf("%d bytes: %s, want %s", size, body, want)
				}
			}
			client.CloseIdleConnections()
			if s := enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.HandedOff != 1 || s.TLSHandshakes != 1 || s.TLSFailed != 0 {
				t.Errorf("%d connections handed off, %d handshakes, %d failed", s.HandedOff, s.TLSHandshakes, s.TLSFailed)
			}
		})
	}
}

// A record that the loop has read a part of goes on where net/http reads.
func TestHTTPSCutRecords(t *testing.T) {
	for _, v := range versions {
		t.Run("TLS "+v.name, func(t *testing.T) {
			srv, client := startHTTPS(t, v.id, perch.Config{}, page())
			c := wstest.Connect(t, srv.Addr().String())
			cut := c.SecureThrough(client)
			body := strings.Repeat("perch", 5000) // more than a record
			head := "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n"
			cut.Hold()
			c.Write([]byte(head))
			whole := len(cut.Held())
			c.Write([]byte(body))
			all := cut.Release()
			for _, b := range [][]byte{all[:10], all[10 : whole+1], all[whole+1 : whole+2000], all[whole+2000:]} {
				if _, err := c.TCP().Write(b); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Millisecond) // each a read of its own
			}
			if r := c.ReadResponse(); r.Body != fmt.Sprintf("%d %x <nil>", len(body), sha256.Sum256([]byte(body))) {
				t.Errorf("%s%s", r.Head, r.Body)
			}
		})
	}
}

// Requests on one connection, then an upgrade on it; what is sent right behind
// either is not lost on the way to net/http and back.
func TestHTTPSThenUpgrade(t *testing.T) {
	for _, v := range versions {
		for _, pipelined := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %s, pipelined %v", v.name, pipelined), func(t *testing.T) {
				cfg, client := enginetest.Secured(t, perch.Config{HTTP: page()})
				client.MinVersion, client.MaxVersion = v.id, v.id
				h := enginetest.Echo()
				h.OnOpen = func(c perch.Conn, r *perch.Request) {
					c.SendText(fmt.Sprint(r.TLS() != nil && r.TLS().ServerName == "localhost", r.HTTP() != nil))
				}
				srv := enginetest.StartRoute(t, cfg, h)
				c := connectTLS(t, srv, client)
				large := make([]byte, 40000) // several records
				all := append(wstest.Request("perch.test", "/ws"), c.Encode(wstest.Text("behind it"), wstest.Binary(large))...)
				if pipelined {
					c.Write(append([]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), all...))
				}
				for _, path := range []string{"/a", "/b"} {
					if !pipelined {
						c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"))
					}
					if r := c.ReadResponse(); r.Status != 200 || !strings.HasPrefix(r.Body, path+" true") {
						t.Fatalf("%s: %d %q", path, r.Status, r.Body)
					}
				}
				if !pipelined {
					c.Write(all)
				}
				c.ExpectUpgraded()
				c.ExpectText("true true")
				c.ExpectText("behind it")
				c.Expect(perch.Binary, large)
				c.Chop(1, wstest.Text("and on"))
				c.ExpectText("and on")
				c.CloseHandshake(perch.CloseNormal)
				if s := enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.HandedOff != 1 || s.TakenOver != 1 {
					t.Errorf("%d handed off, %d taken over", s.HandedOff, s.TakenOver)
				}
			})
		}
	}
}

// Timeouts hold below TLS as they do without.
func TestHTTPSTimeouts(t *testing.T) {
	const timeout = 200 * time.Millisecond
	failed := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("GET /slow", enginetest.Slow(3*timeout))
	mux.HandleFunc("GET /much", enginetest.Much(failed))
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, err)
	})
	srv, client := startHTTPS(t, tls.VersionTLS13, perch.Config{IdleTimeout: timeout, HandshakeTimeout: timeout, WriteTimeout: timeout}, mux)
	t.Run("idle", func(t *testing.T) {
		c := connectTLS(t, srv, client)
		c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		c.ReadResponse()
		c.ExpectEOF()
	})
	t.Run("slow handler", func(t *testing.T) {
		c := connectTLS(t, srv, client)
		c.Write([]byte("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
		if r := c.ReadResponse(); r.Body != "<nil>" {
			t.Errorf("%d %q", r.Status, r.Body)
		}
	})
	t.Run("slow record", func(t *testing.T) {
		c := wstest.Connect(t, srv.Addr().String())
		cut := c.SecureThrough(client)
		c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"))
		cut.Hold()
		c.Write([]byte("0123456789"))
		for _, b := range cut.Release() {
			time.Sleep(timeout / 8) // the sum is over every timeout
			c.TCP().Write([]byte{b})
		}
		if r := c.ReadResponse(); r.Body != "<nil>" {
			t.Errorf("%d %q", r.Status, r.Body)
		}
	})
	t.Run("nothing taken", func(t *testing.T) {
		c := connectTLS(t, srv, client)
		c.Write([]byte("GET /much HTTP/1.1\r\nHost: a\r\n\r\n"))
		if err := wstest.Receive(t, "the handler's error", failed); !os.IsTimeout(err) {
			t.Errorf("it writes until %v", err)
		}
	})
}

// What is no TLS is told so in its own language, if it has one.
func TestNotTLS(t *testing.T) {
	srv, _ := startHTTPS(t, tls.VersionTLS13, perch.Config{}, page())
	c := wstest.Connect(t, srv.Addr().String())
	c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	if r := c.ReadResponse(); r.Status != 400 || !strings.Contains(r.Body, "HTTPS") {
		t.Errorf("plain HTTP: %s%s", r.Head, r.Body)
	}
	c.ExpectEOF()
	for _, garbage := range []string{"\x00", "\x16\x03\x01\xff\xff", "\x16\x02\x00\x00\x01\x01", "\x80\x2e\x01\x03\x01"} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte(garbage))
		if b, err := io.ReadAll(bufio.NewReader(c.TCP())); err != nil || string(b) != "\x15\x03\x01\x00\x02\x02\x0a" {
			t.Errorf("%x: answered %x, %v", garbage, b, err)
		}
	}
	if s := enginetest.AwaitStats(t, srv, "they are counted", func(s *perch.Stats) bool { return s.TLSFailed == 4 }); s.BadHandshakes != 1 || s.TLSHandshakes != 0 {
		t.Errorf("%d bad requests, %d handshakes", s.BadHandshakes, s.TLSHandshakes)
	}
}

// As many as arrive in one tick find the way to net/http, full or not, and take
// their TLS with them.
func TestHTTPSBurst(t *testing.T) {
	const clients = 400
	srv, client := startHTTPS(t, tls.VersionTLS13, perch.Config{Loops: 1, NewConnectionsPerSecond: -1, MaxConnectionsPerIP: -1}, page())
	var all []*wstest.Conn
	for range clients {
		all = append(all, connectTLS(t, srv, client))
	}
	for _, c := range all {
		c.Write([]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	for i, c := range all {
		if r, err := c.TryReadResponse(); err != nil || r.Status != 200 || !strings.HasPrefix(r.Body, "/a true") {
			t.Fatalf("client %d: %v, %v", i, r, err)
		}
		c.Close()
	}
}
