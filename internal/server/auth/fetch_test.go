package auth

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// endless is a body of spaces that counts the bytes read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	if e.read > 100*maxKeySet {
		return 0, io.ErrUnexpectedEOF
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestFetchIsBounded(t *testing.T) {
	body := new(endless)
	f, err := newFetcher("https://issuer.example/", &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.fetch(t.Context()); err == nil || body.read > 2*maxKeySet {
		t.Errorf("%d bytes, %v; %d read, want an error at %d", len(b), err, body.read, maxKeySet)
	}
}

// TestFetchRedirects: an issuer may move, but not to a place where others could change its keys.
func TestFetchRedirects(t *testing.T) {
	for to, want := range map[string]bool{
		"https://elsewhere.example/keys": true,
		"/keys":                          true,
		"http://127.0.0.1:9/keys":        true,
		"http://issuer.example/keys":     false,
		"http://127.0.0.1.example/keys":  false,
		"http://keys.localhost/keys":     false, // a name server may be asked
		"http://[::1]:9/keys":            true,
		"file:///etc/keys":               false,
	} {
		var asked []string
		f, err := newFetcher("https://issuer.example/old", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked = append(asked, r.URL.String()); len(asked) > 1 {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}"))}, nil
			}
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {to}}, Body: http.NoBody}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.fetch(t.Context()); (err == nil) != want || (len(asked) == 2) != want {
			t.Errorf("to %s: asked %q, error %v", to, asked, err)
		}
	}
}
