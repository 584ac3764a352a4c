//go:build linux

package perch

import (
	"errors"
	"fmt"
	"testing"

	"github.com/perchws/perch/handshake"
)

func TestRouteMatch(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		target   string // of a request to a.test
		want     string // the pattern; "": none
		value    string // of the wildcard {id}
	}{
		{[]string{"/ws"}, "/ws", "/ws", ""},
		{[]string{"/ws"}, "/ws?raw=1", "/ws", ""},
		{[]string{"/ws"}, "/ws/", "", ""},
		{[]string{"/ws"}, "/WS", "", ""},
		{[]string{"/ws"}, "/w", "", ""},
		{[]string{"/ws"}, "/", "", ""},
		{[]string{"GET /ws"}, "/ws", "GET /ws", ""},
		{[]string{"POST /ws"}, "/ws", "", ""},
		{[]string{"/ws", "/ws/{id}"}, "/ws", "/ws", ""},
		{[]string{"/ws/chat", "/ws/{id}"}, "/ws/chat", "/ws/chat", ""},
		{[]string{"/ws/{id}", "/ws/chat"}, "/ws/chat2", "/ws/{id}", "chat2"},
		{[]string{"/ws/{id}"}, "/ws/", "", ""},
		{[]string{"/ws/{id}"}, "/ws/a%20b%2Fc", "/ws/{id}", "a b/c"},
		{[]string{"/ws/{id...}"}, "/ws/a/b", "/ws/{id...}", "a/b"},
		{[]string{"/ws/{$}"}, "/ws/", "/ws/{$}", ""},
		{[]string{"/ws/{$}"}, "/ws/x", "", ""},
		{[]string{"/ws/"}, "/ws/", "/ws/", ""},
		{[]string{"/ws/"}, "/ws/deep/er", "/ws/", ""},
		{[]string{"/ws/"}, "/ws", "", ""}, // the mux would redirect
		{[]string{"/"}, "/any", "/", ""},
		{[]string{"/ws"}, "//ws", "", ""},
		{[]string{"/ws", "/{id}"}, "/x/../ws", "", ""},
		{[]string{"a.test/ws"}, "/ws", "a.test/ws", ""},
		{[]string{"b.test/ws"}, "/ws", "", ""},
		// The mux prefers a pattern with a host, whatever else there is.
		{[]string{"/ws", "a.test/ws"}, "/ws", "a.test/ws", ""},
		{[]string{"/ws", "a.test/{id}"}, "/ws", "a.test/{id}", "ws"},
		{[]string{"/ws", "b.test/ws"}, "/ws", "/ws", ""},
		// An escape that need not be one is the same path, whatever other routes there are.
		{[]string{"/ws"}, "/w%73", "/ws", ""},
		{[]string{"/ws", "/{id}"}, "/w%73", "/ws", ""},
		{[]string{"/a%20b"}, "/a%20b", "/a%20b", ""},
		{[]string{"/caf\u00e9"}, "/caf%C3%A9", "/caf\u00e9", ""},
	} {
		t.Run(fmt.Sprint(tt.patterns, " ", tt.target), func(t *testing.T) {
			srv := New(Config{})
			name := make(map[*Route]string)
			for _, p := range tt.patterns {
				name[srv.Handle(p, Handler{})] = p
			}
			r, req := srv.routing.match(head(t, tt.target))
			if got := name[r]; got != tt.want {
				t.Fatalf("route %q, want %q", got, tt.want)
			}
			request := Request{matched: req}
			if got := request.PathValue("id"); got != tt.value {
				t.Errorf("{id} is %q, want %q", got, tt.value)
			}
		})
	}
}

// head is the head of a request to a.test.
func head(t *testing.T, target string) handshake.Head {
	t.Helper()
	b := []byte("GET " + target + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
	p := new(handshake.Parser)
	if n, err := p.Request(b); n != len(b) || err != nil {
		t.Fatalf("request for %q: %d, %v", target, n, err)
	}
	return p.Head(b)
}

func TestHandleRefuses(t *testing.T) {
	for name, register := range map[string]func(*Server){
		"twice":       func(srv *Server) { srv.Handle("/ws", Handler{}); srv.Handle("/ws", Handler{}) },
		"conflict":    func(srv *Server) { srv.Handle("/{a}/x", Handler{}); srv.Handle("/x/{b}", Handler{}) },
		"bad pattern": func(srv *Server) { srv.Handle("ws", Handler{}) },
		"bad setting": func(srv *Server) { srv.Handle("/ws", Handler{Settings: Settings{MaxMessageSize: -2}}) },
		"bad rate":    func(srv *Server) { srv.Handle("/ws", Handler{Settings: Settings{Rate: Rate{Bytes: -2}}}) },
		"ping after its end": func(srv *Server) {
			srv.Handle("/ws", Handler{Settings: Settings{PingInterval: 100e9, PingTimeout: 100e9}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was accepted")
				}
			}()
			register(New(Config{}))
		})
	}
}

// TestRouteIndices: an index that a dialled connection has given back is used
// again, and what other connections read meanwhile does not change under them.
func TestRouteIndices(t *testing.T) {
	srv := New(Config{})
	first := srv.Handle("/a", Handler{})
	seen := *srv.table.routes.Load()
	a, err := srv.dialRoute(Handler{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := srv.dialRoute(Handler{})
	if err != nil {
		t.Fatal(err)
	}
	if a.index == b.index || srv.route(a.index) != a || srv.route(b.index) != b || srv.route(first.index) != first {
		t.Fatalf("indices %d, %d, %d", first.index, a.index, b.index)
	}
	before := *srv.table.routes.Load()
	for range 100 {
		srv.releaseRoute(a.index)
		again, err := srv.dialRoute(Handler{})
		if err != nil {
			t.Fatal(err)
		}
		if again.index != a.index || srv.route(a.index) != again {
			t.Fatalf("index %d, want %d again", again.index, a.index)
		}
	}
	if before[b.index] != b || before[first.index] != first || len(seen) != 2 || seen[1] != first {
		t.Error("a place of others has changed")
	}
}

// TestMostRoutes: a connection's place for its route is bounded; over it a dial
// is refused, and Handle says so.
func TestMostRoutes(t *testing.T) {
	srv := New(Config{})
	full := make([]*Route, maxRoutes-1)
	srv.table.routes.Store(&full)
	last, err := srv.dialRoute(Handler{})
	if err != nil || last.index != maxRoutes-1 {
		t.Fatalf("the last route: %v", err)
	}
	var s slot
	s.see(coarseMost)
	s.setRoute(last.index)
	if s.route() != last.index || s.seen() != coarseMost {
		t.Errorf("a slot has route %d, seen %d", s.route(), s.seen())
	}
	s.see(0)
	if s.route() != last.index || s.seen() != 0 {
		t.Errorf("a slot has route %d, seen %d", s.route(), s.seen())
	}
	if _, err := srv.dialRoute(Handler{}); !errors.Is(err, ErrOverloaded) || !errors.Is(err, ErrDial) {
		t.Errorf("one more: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Handle had a place for one more")
		}
	}()
	srv.Handle("/more", Handler{})
}
