package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, target string
		status         int
		contentType    string
		body           string // part of it
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<title>"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/?x=1", 200, "text/html; charset=utf-8", "<title>"},
		{"GET", "/health", 200, "application/json", `{"status":"ok"}`},
		{"GET", "/static/echo.js", 200, "text/javascript; charset=utf-8", "WebSocket"},
		{"GET", "/static/echo.css", 200, "text/css; charset=utf-8", "color-scheme"},
		{"GET", "/static/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/static/", 404, "", ""},
		{"GET", "/static/index.html", 404, "", ""},
		{"GET", "/static/../web.go", 307, "", ""}, // the mux cleans the path, what is left is 404
		{"GET", "/web.go", 404, "", ""},
		{"GET", "/nothing", 404, "", ""},
		{"POST", "/", 405, "", ""},
		{"POST", "/health", 405, "", ""},
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
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest("GET", "/static/echo.js", nil))
	again := httptest.NewRequest("GET", "/static/echo.js", nil)
	again.Header.Set("If-None-Match", first.Header().Get("ETag"))
	second := httptest.NewRecorder()
	h.ServeHTTP(second, again)
	if second.Code != http.StatusNotModified || second.Body.Len() != 0 {
		t.Errorf("status %d with %d bytes, want 304 with none", second.Code, second.Body.Len())
	}
}

// TestPageObeysItsPolicy looks for what the policy would block, and for user text that could become HTML.
func TestPageObeysItsPolicy(t *testing.T) {
	for _, unsafe := range []string{"'unsafe-inline'", "'unsafe-eval'", "*"} {
		if strings.Contains(policy, unsafe) {
			t.Errorf("policy has %s", unsafe)
		}
	}
	html, err := static.ReadFile("static/index.html")
	if err != nil {
		t.Fatal(err)
	}
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*[^<\s]|<style|\sstyle=|\son[a-z]+=|="javascript:|(?:src|href)="(?:https?:)?//`)
	if m := inline.Find(html); m != nil {
		t.Errorf("index.html has %q", m)
	}
	js, err := static.ReadFile("static/echo.js")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function`).Find(js); m != nil {
		t.Errorf("echo.js has %q", m)
	}
}
