//go:build linux

package http_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// What OnUpgrade has made for a connection comes back if it never opens, once, and only
// then: however it is that it does not.
func TestAbandon(t *testing.T) {
	type end struct {
		value any
		err   error
	}
	for name, tt := range map[string]struct {
		blocking bool
		cfg      perch.Config
		response perch.Response
		do       func(t *testing.T, srv *perch.Server, route *perch.Route, entered chan struct{}, release chan struct{})
		opens    bool
	}{
		"opens": {response: perch.Response{Value: 7}, opens: true, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, _, _ chan struct{}) {
			enginetest.Dial(t, srv).Close()
		}},
		"opens, blocking": {blocking: true, response: perch.Response{Value: 7}, opens: true, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, _, release chan struct{}) {
			close(release)
			enginetest.Dial(t, srv).Close()
		}},
		"an answer that cannot be sent": {response: perch.Response{Value: 7, Subprotocol: "none.such"}, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, _, _ chan struct{}) { askFor(t, srv).Close() }},
		"a header that cannot be sent":  {response: perch.Response{Value: 7, Header: http.Header{"A\n": {"b"}}}, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, _, _ chan struct{}) { askFor(t, srv).Close() }},
		"out of time": {blocking: true, cfg: perch.Config{HandshakeTimeout: 50 * time.Millisecond}, response: perch.Response{Value: 7}, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, entered, release chan struct{}) {
			c := askFor(t, srv)
			wstest.Receive(t, "OnUpgrade", entered)
			if r := c.ReadResponse(); r.Status != 408 {
				t.Errorf("answered %d", r.Status)
			}
			close(release)
		}},
		"peer gone": {blocking: true, response: perch.Response{Value: 7}, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, entered, release chan struct{}) {
			c := askFor(t, srv)
			wstest.Receive(t, "OnUpgrade", entered)
			c.Reset()
			enginetest.AwaitStats(t, srv, "it is gone, or its end is seen later", func(s *perch.Stats) bool { return s.Handshakes == 1 })
			srv.Close() // resets what is left
			close(release)
		}},
		"shutdown": {blocking: true, response: perch.Response{Value: 7}, do: func(t *testing.T, srv *perch.Server, _ *perch.Route, entered, release chan struct{}) {
			askFor(t, srv)
			wstest.Receive(t, "OnUpgrade", entered)
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			srv.Shutdown(ctx)
			close(release)
		}},
		"a foreign server that cannot give it": {response: perch.Response{Value: 7}, cfg: perch.Config{MaxConnections: 1}, do: func(t *testing.T, srv *perch.Server, route *perch.Route, _, _ chan struct{}) {
			foreign := httptest.NewServer(route)
			defer foreign.Close()
			other := dialOther(t, srv)
			defer other.Close()
			c := wstest.Connect(t, foreign.Listener.Addr().String())
			c.Write(wstest.Request("perch.test", "/"))
			if r := c.ReadResponse(); r.Status != 503 {
				t.Errorf("answered %d", r.Status)
			}
		}},
		"a foreign answer that cannot be sent": {response: perch.Response{Value: 7, Subprotocol: "none.such"}, do: func(t *testing.T, srv *perch.Server, route *perch.Route, _, _ chan struct{}) {
			foreign := httptest.NewServer(route)
			defer foreign.Close()
			c := wstest.Connect(t, foreign.Listener.Addr().String())
			c.Write(wstest.Request("perch.test", "/"))
			c.ReadResponse()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			abandoned, opened := make(chan end, 2), make(chan any, 2)
			entered, release := make(chan struct{}, 1), make(chan struct{})
			var route *perch.Route
			srv := enginetest.Start(t, tt.cfg, func(srv *perch.Server) {
				onAbandon := func(value any, err error) { abandoned <- end{value, err} }
				if tt.blocking {
					srv.HandleBlocking("/ws", perch.BlockingHandler{
						OnUpgrade: func(*perch.Request) perch.Response { entered <- struct{}{}; <-release; return tt.response },
						OnOpen:    func(c perch.Ref, _ *perch.Request) {},
						OnClose:   func(c perch.Ref, _ *perch.CloseError) { opened <- c.Value() },
						OnAbandon: onAbandon,
					})
				} else {
					h := perch.Handler{
						OnUpgrade: func(*perch.Request) perch.Response { return tt.response },
						OnClose:   func(c perch.Conn, _ *perch.CloseError) { opened <- c.Value() },
						OnAbandon: onAbandon,
					}
					srv.Handle("/ws", h)
					route = srv.Route(h)
				}
				srv.Handle("/other", enginetest.Echo())
			})
			tt.do(t, srv, route, entered, release)
			if tt.opens {
				if v := wstest.Receive(t, "OnClose", opened); v != 7 {
					t.Errorf("closed with %v", v)
				}
			} else if e := wstest.Receive(t, "OnAbandon", abandoned); e.value != 7 || !errors.Is(e.err, perch.ErrNeverOpened) {
				t.Errorf("abandoned %v, %v", e.value, e.err)
			}
			if len(abandoned) != 0 || len(opened) != 0 {
				t.Error("told twice")
			}
		})
	}
}

// askFor sends an upgrade request and does not wait for the answer.
func askFor(t *testing.T, srv *perch.Server) *wstest.Conn {
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("perch.test", "/ws"))
	return c
}

func dialOther(t *testing.T, srv *perch.Server) *wstest.Conn {
	return wstest.Dial(t, srv.Addr().String(), "/other")
}
