// Package web answers plain HTTP for perchd: the console at / for its endpoints, the chat at /chat, their static
// files, the document of the protocol, /health and /ready.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/perchws/perch/docs"
)

//go:embed static
var static embed.FS

// policy lets a page load its own script, style and icon and talk to its own server, and nothing else: no inline
// script, no frames, no other origin. images lists further sources of images.
func policy(images string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'" + images + "; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// pages are the static files that have a path of their own.
var pages = map[string]struct{ pattern, images string }{
	"static/index.html": {"GET /{$}", ""},
	"static/chat.html":  {"GET /chat", " data: https:"}, // users show each other pictures of other sites
}

// Handler returns the handler for every request that is not an upgrade. Unknown paths are 404. ready returns the
// reasons why no client should be sent here now, nil if there is none; any goroutine may call it, and the Handler.
func Handler(ready func() (reasons []string)) (http.Handler, error) {
	mux := probes(ready)
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		page, ok := pages[name]
		if !ok {
			page.pattern = "GET /" + name
		}
		mux.Handle(page.pattern, file(path.Base(name), policy(page.images), body))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: static files: %w", err)
	}
	mux.Handle("GET /docs/protocol.md", plain(file("protocol.md", policy(""), docs.Protocol)))
	return secure(mux), nil
}

// Probes handles /health and /ready alone.
func Probes(ready func() (reasons []string)) http.Handler { return secure(probes(ready)) }

func probes(ready func() (reasons []string)) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health)
	mux.HandleFunc("GET /ready", readiness(ready))
	return mux
}

// health says that the process answers: it is alive, but perhaps not ready.
func health(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, status{Status: "ok"})
}

// readiness says whether load balancers should send clients here.
func readiness(ready func() (reasons []string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if reasons := ready(); len(reasons) > 0 {
			answer(w, http.StatusServiceUnavailable, status{"not ready", reasons})
			return
		}
		answer(w, http.StatusOK, status{Status: "ready"})
	}
}

type status struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

func answer(w http.ResponseWriter, code int, s status) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(s) // an error is the client's problem
}

// file serves one embedded file. A browser keeps it, but asks each time whether its copy is still valid: so an
// upgraded server shows its new page at once.
func file(name, csp string, body []byte) http.Handler {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}

// plain makes browsers show a document instead of saving it.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		next.ServeHTTP(w, r)
	})
}

// secure sets headers on every answer, errors too.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy(""))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
