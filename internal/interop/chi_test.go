//go:build linux

package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	gorilla "github.com/gorilla/websocket"

	"github.com/perchws/perch"
)

// TestChi: our routes in a router of other people's, behind its middleware, which
// wraps the ResponseWriter; on a net/http server, and on the engine's own port.
func TestChi(t *testing.T) {
	router := chi.NewRouter()
	router.Use(middleware.RequestID, middleware.Logger, middleware.Recoverer, middleware.Compress(5))
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "visit", Value: "1"})
			next.ServeHTTP(w, r)
		})
	})
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", HTTP: router})
	live := srv.Route(perch.Handler{
		OnOpen: func(c perch.Conn, r *perch.Request) {
			_ = c.SendText(fmt.Sprintf("%s %v", r.PathValue("id"), middleware.GetReqID(r.HTTP().Context()) != ""))
		},
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { _ = c.Send(op, p) },
	})
	router.Route("/rooms", func(r chi.Router) {
		r.Method("GET", "/{id}/live", live)
		r.Get("/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page of "+chi.URLParam(r, "id")) })
	})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	site := httptest.NewServer(router)
	defer site.Close()
	for name, addr := range map[string]string{"net/http": strings.TrimPrefix(site.URL, "http://"), "own port": srv.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			resp, err := http.Get("http://" + addr + "/rooms/7")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); string(body) != "page of 7" {
				t.Errorf("%q, %v", body, err)
			}
			c, answer, err := gorilla.DefaultDialer.Dial("ws://"+addr+"/rooms/7/live", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := answer.Header.Get("Set-Cookie"); got != "visit=1" {
				t.Errorf("cookie %q", got)
			}
			for _, want := range []string{"7 true", "hello"} {
				if _, p, err := c.ReadMessage(); string(p) != want {
					t.Errorf("%q, %v, want %q", p, err, want)
				}
				if err := c.WriteMessage(gorilla.TextMessage, []byte("hello")); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
