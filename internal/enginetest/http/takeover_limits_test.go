//go:build linux

package http_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// The same request gets the same answer on the engine's own port, on a
// connection there that has served a page, and inside of a foreign server: but
// for what net/http itself does not let through.
func TestTakeoverSameRules(t *testing.T) {
	routes := func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{Settings: perch.Settings{Subprotocols: []string{"a"}, Origins: []string{"https://app.example", "http://[::1]:80"}}})
		srv.Handle("/rooms/{id}", perch.Handler{})
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			http.Error(w, "not found", http.StatusNotFound)
		}
	})
	own := enginetest.Start(t, perch.Config{HTTP: page}, routes)
	addr := foreign(t, enginetest.Start(t, perch.Config{Addr: "-"}, routes))
	standard := []string{"Host: perch.test", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + wstest.Key}
	for _, tt := range []struct {
		line string   // "": GET /ws HTTP/1.1
		drop string   // name of a standard header
		more []string // headers
		want int
	}{
		{want: 101},
		{line: "GET /ws?a=b HTTP/1.1", want: 101},
		{line: "GET http://perch.test/ws HTTP/1.1", want: 101},
		{line: "GET /rooms/7 HTTP/1.1", want: 101},
		{line: "GET /rooms/a%2Fb HTTP/1.1", want: 101},
		{line: "GET /rooms/ HTTP/1.1", want: 404},
		{line: "GET /rooms/7/8 HTTP/1.1", want: 404},
		{line: "GET /%77s HTTP/1.1", want: 101},
		{line: "GET /none HTTP/1.1", want: 404},
		{line: "POST /ws HTTP/1.1", want: 405},
		{line: "HEAD /ws HTTP/1.1", want: 405},
		{line: "GET /ws HTTP/1.0", want: 426},
		{drop: "Upgrade", want: 426},
		{drop: "Upgrade", more: []string{"Upgrade: h2c"}, want: 426},
		{drop: "Upgrade", more: []string{"Upgrade: h2c, WebSocket"}, want: 101},
		{drop: "Upgrade", more: []string{"Upgrade: h2c", "Upgrade: websocket"}, want: 101},
		{drop: "Connection", want: 400},
		{drop: "Connection", more: []string{"Connection: keep-alive, UPGRADE"}, want: 101},
		{drop: "Connection", more: []string{"Connection: keep-alive"}, want: 400},
		{drop: "Sec-WebSocket-Version", want: 426},
		{drop: "Sec-WebSocket-Version", more: []string{"Sec-WebSocket-Version: 12"}, want: 426},
		{more: []string{"Sec-WebSocket-Version: 13"}, want: 400},
		{drop: "Sec-WebSocket-Key", more: []string{"Sec-WebSocket-Key: short"}, want: 400},
		{more: []string{"Origin: https://app.example"}, want: 101},
		{more: []string{"Origin: https://app.example:443"}, want: 101},
		{more: []string{"Origin: http://[::1]"}, want: 101},
		{more: []string{"Origin: https://evil.example"}, want: 403},
		{more: []string{"Origin: null"}, want: 403},
		{more: []string{"Origin: https://app.example", "Origin: https://evil.example"}, want: 400},
		{more: []string{"Sec-WebSocket-Protocol: b, a"}, want: 101},
		{more: []string{"Sec-WebSocket-Protocol: b"}, want: 101},
		{more: []string{"Sec-WebSocket-Protocol: a, a"}, want: 400},
		{more: []string{"Sec-WebSocket-Protocol: bearer.abc"}, want: 400},
		{more: []string{"Sec-WebSocket-Protocol: ,;"}, want: 400},
		{more: []string{"Content-Length: 0"}, want: 101},
	} {
		line := tt.line
		if line == "" {
			line = "GET /ws HTTP/1.1"
		}
		lines := []string{line}
		for _, h := range standard {
			if tt.drop == "" || !strings.HasPrefix(h, tt.drop+":") {
				lines = append(lines, h)
			}
		}
		request := []byte(strings.Join(append(lines, tt.more...), "\r\n") + "\r\n\r\n")
		kept := wstest.Connect(t, own.Addr().String())
		if status, _ := enginetest.Get(t, kept, "/page"); status != 200 {
			t.Fatalf("status %d", status)
		}
		for where, c := range map[string]*wstest.Conn{
			"own port": wstest.Connect(t, own.Addr().String()), "kept alive": kept, "foreign": wstest.Connect(t, addr),
		} {
			c.Write(request)
			c.CloseWrite()
			r, err := http.ReadResponse(bufio.NewReader(c.TCP()), &http.Request{Method: strings.Fields(line)[0]})
			if err != nil || r.StatusCode != tt.want {
				t.Errorf("%s, without %q, with %q: %s answers %v, %v, want %d", line, tt.drop, tt.more, where, r, err, tt.want)
			} else if proto := r.Header.Get("Sec-WebSocket-Protocol"); r.StatusCode == 101 && (proto == "a") != strings.Contains(fmt.Sprint(tt.more), "b, a") {
				t.Errorf("%q: %s selects %q", tt.more, where, proto)
			}
			c.Close()
		}
	}
}

// Many at a time, more than the pair of sockets to the one loop holds.
func TestTakeoverBurst(t *testing.T) {
	const clients = 600
	busy, release := make(chan bool), make(chan bool)
	srv := enginetest.Start(t, perch.Config{Addr: "-", Loops: 1, NewConnectionsPerSecond: -1}, func(srv *perch.Server) {
		h := enginetest.Echo()
		h.OnMessage = func(c perch.Conn, op perch.Opcode, p []byte) {
			if string(p) == "block" {
				busy <- true
				<-release
			}
			c.Send(op, p)
		}
		srv.Handle("/ws", h)
	})
	addr := foreign(t, srv)
	first := wstest.Dial(t, addr, "/ws")
	first.Send(wstest.Text("block"))
	wstest.Receive(t, "the loop is busy", busy)
	var all []*wstest.Conn
	for range clients {
		c := wstest.Connect(t, addr)
		c.Write(append(wstest.Request("a", "/ws"), c.Encode(wstest.Text("hello"))...))
		all = append(all, c)
	}
	close(release)
	var reading sync.WaitGroup
	for _, c := range all {
		reading.Go(func() {
			if r, err := c.TryReadResponse(); err != nil || r.Status != 101 {
				t.Errorf("%v, %v", r, err)
				return
			}
			if f, err := c.Next(); err != nil || string(f.Payload) != "hello" {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
	reading.Wait()
	if s := srv.Stats(); s.TakenOver != clients+1 || s.Connections != clients+1 {
		t.Errorf("%d taken over, %d connections", s.TakenOver, s.Connections)
	}
}
