package web

import (
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// handler returns a handler that is not ready for these reasons.
func handler(t *testing.T, reasons ...string) http.Handler {
	t.Helper()
	h, err := Handler(func() []string { return reasons })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestReady(t *testing.T) {
	for _, tt := range []struct {
		reasons []string
		status  int
		body    string
	}{
		{nil, 200, `{"status":"ready"}`},
		{[]string{"draining", "no keys"}, 503, `{"status":"not ready","reasons":["draining","no keys"]}`},
	} {
		w := httptest.NewRecorder()
		handler(t, tt.reasons...).ServeHTTP(w, httptest.NewRequest("GET", "/ready", nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.body {
			t.Errorf("%q: %d %s, want %d %s", tt.reasons, w.Code, got, tt.status, tt.body)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: header %v", tt.reasons, w.Header())
		}
	}
}

// TestImages: only the chat shows pictures of other origins.
func TestImages(t *testing.T) {
	h := handler(t)
	for target, want := range map[string]string{"/": "img-src 'self';", "/nothing": "img-src 'self';", "/chat": "img-src 'self' data: https:;"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, want) {
			t.Errorf("%s: policy %q, want %s in it", target, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	h := handler(t)
	for _, tt := range []struct {
		method, target string
		status         int
		contentType    string
		body           string // a part of it
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<title>"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/?x=1", 200, "text/html; charset=utf-8", "<title>"},
		{"GET", "/health", 200, "application/json", `{"status":"ok"}`},
		{"GET", "/static/console-wire.js", 200, "text/javascript; charset=utf-8", "WebSocket"},
		{"GET", "/static/console.css", 200, "text/css; charset=utf-8", "color-scheme"},
		{"GET", "/static/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/chat", 200, "text/html; charset=utf-8", "<title>"},
		{"GET", "/docs/protocol.md", 200, "text/plain; charset=utf-8", "# The protocol of perchd"},
		{"GET", "/docs/", 404, "", ""},
		{"GET", "/static/", 404, "", ""},
		{"GET", "/static/index.html", 404, "", ""},
		{"GET", "/static/chat.html", 404, "", ""},
		{"GET", "/static/../web.go", 307, "", ""}, // the mux cleans the path, and the clean path is 404
		{"GET", "/web.go", 404, "", ""},
		{"GET", "/nothing", 404, "", ""},
		{"POST", "/", 405, "", ""},
		{"POST", "/health", 405, "", ""},
		{"GET", "/ready", 200, "application/json", `{"status":"ready"}`},
		{"POST", "/ready", 405, "", ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, nil))
		if w.Code != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.target, w.Code, tt.status)
		}
		if got := w.Header().Get("Content-Type"); tt.contentType != "" && got != tt.contentType {
			t.Errorf("%s %s: content type %q, want %q", tt.method, tt.target, got, tt.contentType)
		}
		if !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s %s: body %.80q, want %q in it", tt.method, tt.target, w.Body, tt.body)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s %s: no %s", tt.method, tt.target, name)
			}
		}
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	h := handler(t)
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest("GET", "/static/console.js", nil))
	again := httptest.NewRequest("GET", "/static/console.js", nil)
	again.Header.Set("If-None-Match", first.Header().Get("ETag"))
	second := httptest.NewRecorder()
	h.ServeHTTP(second, again)
	if second.Code != http.StatusNotModified || second.Body.Len() != 0 {
		t.Errorf("status %d with %d bytes, want 304 with none", second.Code, second.Body.Len())
	}
}

// TestPagesObeyTheirPolicy looks for code that the policy would block, and for user text that could become HTML.
func TestPagesObeyTheirPolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*[^<\s]|<style|\sstyle=|\son[a-z]+=|="javascript:|(?:src|href)="(?:https?:)?//`)
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function`)
	for name, page := range pages {
		for _, word := range []string{"'unsafe-inline'", "'unsafe-eval'", "*"} {
			if strings.Contains(policy(page.images), word) {
				t.Errorf("policy of %s has %s", name, word)
			}
		}
	}
	files, err := static.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := static.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		wrong := map[string]*regexp.Regexp{".html": inline, ".js": unsafe}[path.Ext(f.Name())]
		if wrong == nil {
			continue
		}
		if m := wrong.Find(text); m != nil {
			t.Errorf("%s has %q", f.Name(), m)
		}
	}
}
