//go:build linux

package interop

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/perchws/perch"
)

// fronts are the addresses of an nginx, by the way it takes to an engine.
type fronts map[string]string

// startNginx puts an nginx of our own in front of addresses: host:port of tcp and proxy, a path of
// unix.
func startNginx(t *testing.T, behind fronts) fronts {
	t.Helper()
	const install = "apt-get install nginx-light libnginx-mod-stream"
	path := os.Getenv("PATH")
	t.Setenv("PATH", path+":/usr/sbin:/usr/local/sbin")
	nginx := need(t, install, "nginx")
	var modules string
	for _, dir := range []string{"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "ngx_stream_module.so")); err == nil {
			modules = dir
		}
	}
	if modules == "" {
		missing(t, "nginx's stream module", install)
	}
	dir := t.TempDir()
	front := fronts{"tcp": freeAddress(t), "unix": freeAddress(t), "proxy": freeAddress(t)}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // its worker reaches our unix socket
	}
	conf, err := os.ReadFile("testdata/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("<dir>", dir, "<user>", user, "<modules>", modules,
		"<tcp>", behind["tcp"], "<unix>", behind["unix"], "<proxy>", behind["proxy"],
		"<front-tcp>", front["tcp"], "<front-unix>", front["unix"], "<front-proxy>", front["proxy"]).Replace(string(conf))
	name := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, nil, nginx, "-p", dir, "-c", name)
	for _, addr := range front {
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("nginx does not listen: %v\n%s", err, p.output())
			}
		}
	}
	return front
}

// freeAddress returns an address of loopback at which nobody listens. The kernel gives ports from 32768 on to
// connections that go out: one below will still be free when somebody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(22_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// startTelling starts an engine that tells every client its address, over WebSocket and over HTTP,
// and echoes.
func startTelling(t *testing.T, cfg perch.Config) *perch.Server {
	t.Helper()
	cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain "+r.RemoteAddr) })
	srv := perch.New(cfg)
	srv.Handle("/ws", perch.Handler{
		OnOpen: func(c perch.Conn, r *perch.Request) {
			_ = c.SendText(fmt.Sprintf("client %v, peer %v", r.RemoteAddr(), r.PeerAddr().Addr()))
		},
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { _ = c.Send(op, p) },
	})
	srv.Handle("/echo", perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { _ = c.Send(op, p) }})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv
}

// TestNginx: WebSocket and pages through nginx, over each way there is. It keeps its connections to
// us alive, and upgrades one that has served pages.
func TestNginx(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	path := filepath.Join(t.TempDir(), "perch.sock")
	engines := map[string]*perch.Server{
		"tcp":   startTelling(t, perch.Config{Addr: "127.0.0.1:0", TrustedProxies: loopback}),
		"unix":  startTelling(t, perch.Config{Addr: "unix:" + path, SocketMode: 0o600, TrustedProxies: []netip.Prefix{perch.UnixPeers()}}),
		"proxy": startTelling(t, perch.Config{Addr: "127.0.0.1:0", ProxyProtocol: loopback}),
	}
	front := startNginx(t, fronts{"tcp": engines["tcp"].Addr().String(), "unix": path, "proxy": engines["proxy"].Addr().String()})
	for way, want := range map[string]struct{ page, hello string }{
		"tcp":   {"plain 127.0.0.1:", "client 127.0.0.9, peer 127.0.0.1"},
		"unix":  {"plain @", "client 127.0.0.9, peer invalid IP"},
		"proxy": {"plain 127.0.0.9:", "client 127.0.0.9, peer 127.0.0.9"},
	} {
		t.Run(way, func(t *testing.T) {
			before := engines[way].Stats()
			from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}} // as nobody else
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: from.DialContext}}
			defer client.CloseIdleConnections()
			for range 3 {
				resp, err := client.Get("http://" + front[way] + "/page")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(body), want.page) {
					t.Errorf("page: %d %q, %v, want %q", resp.StatusCode, body, err, want.page)
				}
			}
			d := gorilla.Dialer{NetDialContext: from.DialContext, HandshakeTimeout: patience}
			c, _, err := d.Dial("ws://"+front[way]+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(patience))
			if _, p, err := c.ReadMessage(); string(p) != want.hello {
				t.Errorf("hello: %q, %v, want %q", p, err, want.hello)
			}
			big := strings.Repeat("perch", 10000)
			if err := c.WriteMessage(gorilla.TextMessage, []byte(big)); err != nil {
				t.Fatal(err)
			}
			if _, p, err := c.ReadMessage(); string(p) != big {
				t.Errorf("%d bytes come back, %v", len(p), err)
			}
			s := engines[way].Stats()
			if n := s.Accepted - before.Accepted; way != "proxy" && (n != 1 || s.TakenOver != 1) {
				t.Errorf("%d connections for three pages and an upgrade, %d upgrades on one that was kept alive", n, s.TakenOver)
			}
		})
	}
	t.Run("websocat", func(t *testing.T) {
		websocat := needWebsocat(t)
		for way, addr := range front {
			got := output(t, strings.NewReader("hello\n"), websocat, "--text", "--no-close", "--one-message", "ws://"+addr+"/echo")
			if string(got) != "hello\n" {
				t.Errorf("%s: got %q", way, got)
			}
		}
	})
}

// TestWebsocatUnix: the command that perchd prints for a unix socket.
func TestWebsocatUnix(t *testing.T) {
	websocat := needWebsocat(t)
	path := filepath.Join(t.TempDir(), "perch.sock")
	startTelling(t, perch.Config{Addr: "unix:" + path})
	got := output(t, strings.NewReader("hello\n"), websocat, "--text", "--no-close", "--one-message", "--ws-c-uri", "ws://localhost/echo", "-", "ws-c:unix:"+path)
	if string(got) != "hello\n" {
		t.Errorf("got %q", got)
	}
}

// TestSystemdSocketActivate: perchd takes its socket as systemd passes it.
func TestSystemdSocketActivate(t *testing.T) {
	activate := need(t, "apt-get install systemd", "systemd-socket-activate")
	addr := freeAddress(t)
	p := start(t, nil, nil, activate, "--listen", addr, "-E", "PATH",
		binary(t, "perchd"), "--listen", "systemd", "--auth-dev-key", filepath.Join(t.TempDir(), "dev.key"))
	p.line("Listening on")
	resp, err := http.Get("http://" + addr + "/health") // the first request starts it
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("health: %d", resp.StatusCode)
	}
	p.line("perchd serves")
	c, _, err := gorilla.DefaultDialer.Dial("ws://"+addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
