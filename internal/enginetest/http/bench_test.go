//go:build linux

package http_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// BenchmarkPlainHTTP is what the way through the engine costs a plain request: on a
// connection that is kept alive, and on one of its own, beside net/http alone.
func BenchmarkPlainHTTP(b *testing.B) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", HTTP: page, NewConnectionsPerSecond: -1})
	if err := srv.Start(); err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	alone := httptest.NewServer(page)
	defer alone.Close()
	for _, server := range []struct{ name, url string }{{"perch", "http://" + srv.Addr().String()}, {"net-http", alone.URL}} {
		for _, closed := range []bool{false, true} {
			name := map[bool]string{false: "kept", true: "closed"}[closed]
			b.Run(server.name+"/"+name, func(b *testing.B) {
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: closed}}
				defer client.CloseIdleConnections()
				for b.Loop() {
					resp, err := client.Get(server.url)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
	}
}

// BenchmarkUpgrade is a connection with its upgrade, on the engine's own port and
// taken over from net/http.
func BenchmarkUpgrade(b *testing.B) {
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", NewConnectionsPerSecond: -1})
	srv.Handle("/ws", enginetest.Echo())
	if err := srv.Start(); err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	site := httptest.NewServer(srv)
	defer site.Close()
	for _, way := range []struct{ name, addr string }{{"own port", srv.Addr().String()}, {"taken over", site.Listener.Addr().String()}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				c := wstest.Dial(b, way.addr, "/ws")
				c.Reset()
			}
		})
	}
}
