package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

// probes asks for /health, /ready and /metrics as an orchestrator does, each time on a new connection, and demands
// these statuses.
func (p *process) probes(scheme string, rounds int, want map[string]int) {
	p.t.Helper()
	client := &http.Client{
		Timeout:   wstest.DefaultTimeout,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	for range rounds {
		for path, status := range want {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				req, err := http.NewRequest(method, scheme+"://"+p.addr+path, nil)
				if err != nil {
					p.t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					p.t.Errorf("%s %s: %v", method, path, err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != status || err != nil || method == http.MethodGet && len(body) == 0 {
					p.t.Errorf("%s %s: %s, %d bytes, %v", method, path, resp.Status, len(body), err)
				}
			}
		}
	}
}

var alive = map[string]int{"/health": 200, "/ready": 200, "/metrics": 200}

// TestProbesWhenFull: an orchestrator must not kill a perchd that is merely full.
func TestProbesWhenFull(t *testing.T) {
	fill := func(p *process, n int, secure bool) {
		for range n {
			var c *wstest.Conn
			if secure {
				c = wstest.DialTLS(t, p.addr, "/ws", &tls.Config{InsecureSkipVerify: true})
			} else {
				c = wstest.Dial(t, p.addr, "/ws")
			}
			c.Send(wstest.Text("in"))
			c.ExpectText("Echo: in")
		}
	}
	t.Run("connections", func(t *testing.T) {
		p := serving(t, "--max-connections", "3")
		fill(p, 3, false)
		p.probes("http", 5, alive)
	})
	t.Run("connections over TLS", func(t *testing.T) {
		p := serving(t, "--max-connections", "3", "--tls-self-signed")
		fill(p, 3, true)
		p.probes("https", 5, alive)
	})
	t.Run("idle plain HTTP", func(t *testing.T) {
		p := serving(t, "--max-http-connections", "3")
		for range 3 {
			c := wstest.Connect(t, p.addr)
			c.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			if r := c.ReadResponse(); r.Status != 200 {
				t.Fatalf("status %d", r.Status)
			}
		}
		p.probes("http", 3, alive)
	})
	for _, scheme := range []string{"http", "https"} {
		t.Run("storm over "+scheme, func(t *testing.T) {
			p := serving(t, "--new-connections-per-second", "20", fmt.Sprintf("--tls-self-signed=%v", scheme == "https"))
			stop := make(chan bool)
			var storm sync.WaitGroup
			for range 4 {
				storm.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if c, err := net.Dial("tcp", p.addr); err == nil {
							c.(*net.TCPConn).SetLinger(0)
							c.Close()
						}
					}
				})
			}
			defer storm.Wait()
			defer close(stop)
			p.probes(scheme, 4, alive)
		})
	}
	t.Run("descriptors", func(t *testing.T) {
		args := []string{"--listen", "127.0.0.1:0", "--log-format", "json", "--loops", "1"}
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -n 80; exec "$0" "$@"`, os.Args[0]}, args...)...)
		p := run(t, cmd, args...)
		p.serves()
		for range 100 { // clients that only connect
			if c, err := net.Dial("tcp", p.addr); err == nil {
				defer c.Close()
			}
		}
		p.probes("http", 3, alive)
	})
	t.Run("while it drains", func(t *testing.T) {
		p := serving(t, "--max-connections", "3", "--shutdown-delay", "1m")
		fill(p, 3, false)
		p.signal(syscall.SIGTERM)
		p.line("shutting down")
		p.probes("http", 2, map[string]int{"/health": 200, "/ready": 503, "/metrics": 200})
	})
}
