//go:build linux

package limits_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// probed is a server whose /health is reserved. /wait does not answer before the test ends.
func probed(t *testing.T, cfg perch.Config) *perch.Server {
	t.Helper()
	release := make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Remote", r.RemoteAddr)
		w.Header().Set("X-TLS", fmt.Sprint(r.TLS != nil))
		fmt.Fprint(w, "alive")
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) { <-release })
	cfg.HTTP, cfg.Reserved = mux, []string{"/health"}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	t.Cleanup(func() { close(release) })
	return srv
}

// probe asks for /health in every way that those who watch a server do.
func probe(t *testing.T, connect func() *wstest.Conn) {
	t.Helper()
	for _, tc := range []struct{ request, body string }{
		{"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "alive"},
		{"GET /health?full=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.30\r\nConnection: close\r\n\r\n", "alive"},
		{"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"GET /health HTTP/1.0\r\n\r\n", "alive"},
		{"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "alive"},
	} {
		c := connect()
		c.Write([]byte(tc.request))
		method, _, _ := strings.Cut(tc.request, " ")
		r := readAnswer(t, c, method)
		if r.Status != 200 || r.Body != tc.body || r.Header("Connection") != "close" {
			t.Errorf("%.30q: status %d, body %q\n%s", tc.request, r.Status, r.Body, r.Head)
		}
		c.ExpectEOF()
		c.Close()
	}
}

// readAnswer reads the response to a request, which has no body if that is HEAD.
func readAnswer(t *testing.T, c *wstest.Conn, method string) *wstest.Response {
	t.Helper()
	if method != http.MethodHead {
		return c.ReadResponse()
	}
	return c.ReadHeadResponse()
}

// A server that is full in any way still answers for a reserved path, and refuses
// everything else as it would without one.
func TestReservedWhenFull(t *testing.T) {
	plain := func(t *testing.T, srv *perch.Server) func() *wstest.Conn {
		return func() *wstest.Conn { return wstest.Connect(t, srv.Addr().String()) }
	}
	silent := func(t *testing.T, srv *perch.Server, n int) {
		for range n {
			if c, err := net.Dial("tcp", srv.Addr().String()); err == nil {
				t.Cleanup(func() { c.Close() })
			}
		}
	}
	refuses := func(t *testing.T, c *wstest.Conn, want int) {
		t.Helper()
		for _, request := range []string{"GET /ws HTTP/1.1", "POST /health HTTP/1.1", "GET /healthy HTTP/1.1"} {
			if request != "GET /ws HTTP/1.1" {
				c = wstest.Connect(t, c.TCP().RemoteAddr().String())
			}
			c.Write([]byte(request + "\r\nHost: a\r\nContent-Length: 0\r\n\r\n"))
			if r := c.ReadResponse(); r.Status != want || r.Header("Retry-After") == "" {
				t.Errorf("%s: status %d, want %d", request, r.Status, want)
			}
			c.Close()
		}
	}
	t.Run("MaxConnections", func(t *testing.T) {
		srv := probed(t, perch.Config{MaxConnections: 3})
		for range 3 {
			enginetest.Dial(t, srv)
		}
		probe(t, plain(t, srv))
		silent(t, srv, 200)
		probe(t, plain(t, srv))
		refuses(t, plain(t, srv)(), 503)
	})
	t.Run("requests under way", func(t *testing.T) {
		srv := probed(t, perch.Config{MaxHTTP: 3})
		for range 3 {
			wstest.Connect(t, srv.Addr().String()).Write([]byte("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"))
		}
		enginetest.AwaitStats(t, srv, "they wait", func(s *perch.Stats) bool { return s.HandedOff == 3 })
		probe(t, plain(t, srv))
	})
	t.Run("NewConnectionsPerSecond", func(t *testing.T) {
		srv := probed(t, perch.Config{NewConnectionsPerSecond: 1})
		silent(t, srv, 100)
		probe(t, plain(t, srv))
		refuses(t, plain(t, srv)(), 503)
	})
	t.Run("addresses", func(t *testing.T) {
		for name, cfg := range map[string]perch.Config{
			"MaxConnectionsPerIP": {MaxConnectionsPerIP: 2}, "NewConnectionsPerIP": {NewConnectionsPerIP: 2},
		} {
			t.Run(name, func(t *testing.T) {
				cfg.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				srv := probed(t, cfg)
				connect := func() *wstest.Conn {
					c := wstest.Connect(t, srv.Addr().String())
					c.Write([]byte("PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"))
					return c
				}
				for range 2 {
					c := connect()
					c.Write(wstest.Request("a", "/ws"))
					c.ExpectUpgraded()
				}
				probe(t, connect)
				c := connect()
				c.Write(wstest.Request("a", "/ws"))
				if r := c.ReadResponse(); r.Status != 429 {
					t.Errorf("status %d", r.Status)
				}
			})
		}
	})
	t.Run("TLS", func(t *testing.T) {
		for name, cfg := range map[string]perch.Config{
			"MaxConnections": {MaxConnections: 3}, "NewConnectionsPerSecond": {NewConnectionsPerSecond: 10}, "turns": {MaxTLSHandshakes: 2},
		} {
			t.Run(name, func(t *testing.T) {
				certificate := wstest.NewAuthority(t)
				cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Issue("localhost")}}
				srv := probed(t, cfg)
				client := &tls.Config{InsecureSkipVerify: true}
				if name == "MaxConnections" {
					for range 3 {
						wstest.DialTLS(t, srv.Addr().String(), "/ws", client)
					}
				}
				if name == "turns" {
					for range 2 { // handshakes that do not go on
						c, err := net.Dial("tcp", srv.Addr().String())
						if err != nil {
							t.Fatal(err)
						}
						defer c.Close()
						c.Write(enginetest.ClientHello(t))
					}
					enginetest.AwaitStats(t, srv, "the turns are taken", func(s *perch.Stats) bool { return s.TLSRunning == 2 })
				}
				silent(t, srv, 150)
				rounds := 1
				if name == "NewConnectionsPerSecond" {
					rounds = 16 // more than may have a TLS handshake in a second when they are over it
				}
				for range rounds {
					probe(t, func() *wstest.Conn {
						c := wstest.ConnectFrom(t, "127.0.0.2", srv.Addr().String()) // those that wait are of another address
						c.Secure(client)
						return c
					})
				}
			})
		}
	})
}

// A process that is out of descriptors answers for a reserved path.
func TestReservedOutOfDescriptors(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	enginetest.LimitDescriptors(t, 128)
	srv := probed(t, perch.Config{Loops: 1})
	connected := enginetest.Dial(t, srv)
	fds, connect := openSockets(t, srv, 30)
	empty := enginetest.FillDescriptors(t, 0)
	for n, fd := range fds {
		connect(fd)
		if n%3 != 0 { // that only connects
			continue
		}
		if _, err := syscall.Write(fd, []byte("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 20})
		b := make([]byte, 4096)
		if k, err := syscall.Read(fd, b); err != nil || !strings.HasPrefix(string(b[:k]), "HTTP/1.1 200 ") {
			t.Errorf("probe %d: %q, %v", n, b[:max(k, 0)], err)
		}
	}
	connected.Send(wstest.Text("served"))
	connected.ExpectText("served")
	for _, fd := range fds {
		syscall.Close(fd)
	}
	empty()
	enginetest.Dial(t, srv)
}

// Handlers of a reserved path do what they like, and cost their own request.
func TestReservedHandlers(t *testing.T) {
	var logged enginetest.Journal
	var running, peak atomic.Int32
	gate := make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) { panic("oh") })
	mux.HandleFunc("/goexit", func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 4<<20)) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				http.Error(w, "too late", 500)
				return
			}
		}
	})
	mux.HandleFunc("/many", func(w http.ResponseWriter, r *http.Request) {
		for n := running.Add(1); ; {
			if p := peak.Load(); n <= p || peak.CompareAndSwap(p, n) {
				break
			}
		}
		<-gate
		running.Add(-1)
	})
	mux.HandleFunc("/teapot", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Kept", "yes")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "no")
	})
	cfg := perch.Config{HTTP: mux, Logger: logged.Logger(), Reserved: []string{"/panic", "/goexit", "/empty", "/large", "/huge", "/many", "/teapot"}}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	ask := func(path string) *wstest.Response {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"))
		return c.ReadResponse()
	}
	for path, want := range map[string]int{"/panic": 500, "/goexit": 500, "/empty": 204, "/large": 200, "/huge": 200, "/teapot": 418} {
		r := ask(path)
		if r.Status != want {
			t.Errorf("%s: status %d, want %d", path, r.Status, want)
		}
		if n := len(r.Body); path == "/large" && n != 4<<20 || path == "/huge" && n != 8<<20 {
			t.Errorf("%s: %d bytes", path, n)
		}
		if path == "/teapot" && (r.Header("X-Kept") != "yes" || r.Header("X-Late") != "") {
			t.Errorf("%s:\n%s", path, r.Head)
		}
	}
	if s := srv.Stats(); s.Panics != 1 || len(logged.Find("handler panicked")) != 1 {
		t.Errorf("%d panics", s.Panics)
	}
	const many = 50
	answers := make(chan int, many)
	for range many {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte("GET /many HTTP/1.1\r\nHost: a\r\n\r\n"))
		go func() {
			if r, err := c.TryReadResponse(); err == nil {
				answers <- r.Status
			} else {
				answers <- 0
			}
		}()
	}
	wstest.Eventually(t, "some run", func() bool { return running.Load() == 16 })
	if r := ask("/empty"); r.Status != 204 {
		t.Errorf("another path: status %d", r.Status)
	}
	close(gate)
	for range many {
		if status := wstest.Receive(t, "an answer", answers); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if n := peak.Load(); n != 16 {
		t.Errorf("%d at once", n)
	}
}

// What a reserved path cannot be is refused by Start.
func TestReservedConfig(t *testing.T) {
	for _, tc := range []struct {
		cfg  perch.Config
		want string
	}{
		{perch.Config{Reserved: []string{"/health"}}, "Reserved: there is no HTTP"},
		{perch.Config{Reserved: []string{"health"}, HTTP: http.NotFoundHandler()}, `Reserved: "health"`},
		{perch.Config{Reserved: []string{"GET /health"}, HTTP: http.NotFoundHandler()}, `Reserved: "GET /health"`},
		{perch.Config{Reserved: []string{"/health/{x}"}, HTTP: http.NotFoundHandler()}, `Reserved: "/health/{x}"`},
	} {
		if err := perch.New(tc.cfg).Start(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %s", tc.cfg.Reserved, err, tc.want)
		}
	}
}

// One address that makes connections beyond its rate costs the others nothing.
func TestNewConnectionsPerIP(t *testing.T) {
	cfg := perch.Config{NewConnectionsPerSecond: 40, NewConnectionsPerIP: 5, MaxConnectionsPerIP: -1, ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	from := func(client string) int {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(append([]byte("PROXY TCP4 "+client+" 192.0.2.1 5000 80\r\n"), wstest.Request("a", "/ws")...))
		return c.ReadResponse().Status
	}
	begun := time.Now()
	opened := 0
	for range 200 {
		switch status := from("192.0.2.7"); status {
		case 101:
			opened++
		case 429:
		default:
			t.Fatalf("status %d", status)
		}
	}
	if most := 5 * (2 + time.Since(begun).Seconds()); opened < 5 || float64(opened) > most {
		t.Errorf("%d opened, want 5 to %.0f", opened, most)
	}
	for n := range 5 {
		if status := from(fmt.Sprintf("192.0.2.%d", 10+n)); status != 101 {
			t.Errorf("another address: status %d", status)
		}
	}
	if status := from("127.0.0.9"); status != 101 {
		t.Errorf("loopback: status %d", status)
	}
}
