//go:build linux

package http_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// An upgrade that Config.HTTP gets, because no route has its path, is refused if it is
// answered as plain HTTP: counted once, with one line. Plain HTTP is no refusal.
func TestUpgradeOfNoRoute(t *testing.T) {
	for _, tt := range []struct {
		path    string
		headers []string
		plain   bool
		status  int
		kind    perch.Refusal
		level   slog.Level
		refused bool
	}{
		{path: "/mispelt", status: 404, kind: perch.RefusedPath, level: slog.LevelInfo, refused: true},
		{path: "/page", status: 200, kind: perch.RefusedPath, level: slog.LevelInfo, refused: true},
		{path: "/moved", status: 308, kind: perch.RefusedPath, level: slog.LevelInfo, refused: true},
		{path: "/route", headers: []string{"Origin: https://evil.test"}, status: 403, kind: perch.RefusedOrigin, level: slog.LevelWarn, refused: true},
		{path: "/route", status: 101},
		{path: "/own", status: 101},
		{path: "/mispelt", plain: true, status: 404},
	} {
		t.Run(tt.path, func(t *testing.T) {
			log := new(enginetest.Journal)
			var route *perch.Route
			mux := http.NewServeMux()
			mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("a page")) })
			mux.Handle("/moved", http.RedirectHandler("/page", http.StatusPermanentRedirect))
			mux.HandleFunc("/route", func(w http.ResponseWriter, r *http.Request) { route.Upgrade(w, r) })
			mux.HandleFunc("/own", func(w http.ResponseWriter, _ *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
				c.Close()
			})
			srv := enginetest.Start(t, perch.Config{Logger: log.Logger(), HTTP: mux}, func(srv *perch.Server) {
				srv.Handle("/ws", enginetest.Echo())
				route = srv.Route(enginetest.Echo())
			})
			c := wstest.Connect(t, srv.Addr().String())
			if tt.plain {
				c.Write([]byte("GET " + tt.path + "?token=secret HTTP/1.1\r\nHost: perch.test\r\n\r\n"))
			} else {
				c.Write(wstest.Request("perch.test", tt.path+"?token=secret", tt.headers...))
			}
			if r := c.ReadResponse(); r.Status != tt.status {
				t.Errorf("answered %d, want %d", r.Status, tt.status)
			}
			c.Close()
			if tt.refused {
				expectRefusal(t, log, tt.kind, tt.level, tt.status)
			}
			srv.Close()
			want := [perch.RefusalKinds]uint64{}
			if tt.refused {
				want[tt.kind] = 1
			}
			if s := srv.Stats(); s.Refusals != want || len(log.Find("upgrade refused")) != int(want[tt.kind]) {
				t.Errorf("counted %v, %d lines", s.Refusals, len(log.Find("upgrade refused")))
			}
		})
	}
}
