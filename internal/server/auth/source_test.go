package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// issuer serves a key set, or the answer of a function.
type issuer struct {
	*httptest.Server
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t *testing.T, set []byte) *issuer {
	i := new(issuer)
	i.serve(set)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) does(h http.HandlerFunc) { i.answer.Store(&h) }

func (i *issuer) serve(set []byte) {
	i.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })
}

// loads waits for the end of n more loads.
func loads(t *testing.T, v *Verifier, n int) {
	t.Helper()
	for range n {
		select {
		case <-v.source.nextLoad():
		case <-time.After(10 * time.Second):
			t.Fatal("the key set is not loaded")
		}
	}
}

// ready waits until tokens of s are good. While the set is young, an unknown key is refused for good, so it may take
// several tries.
func ready(t *testing.T, v *Verifier, s signer) {
	t.Helper()
	token := s.mint(nil, nil)
	becomes(t, func() bool { _, err := v.VerifyWait(t.Context(), token); return err == nil })
}

// becomes fails if condition does not become true.
func becomes(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func TestKeySetRotation(t *testing.T) {
	all := signers()
	old, next := all["RS256"], all["ES256"]
	i := newIssuer(t, keySet(jwkOf(old)))
	v := verifier(t, func(c *Config) {
		c.Keys, c.KeySetURL, c.RefreshGap, c.Refresh = nil, i.URL, 10*time.Millisecond, time.Hour
	})
	ready(t, v, old)
	if !v.Ready() {
		t.Error("not ready, with keys")
	}
	_, err := v.Verify(next.mint(nil, nil))
	wantError(t, err, ErrUnknownKey)

	i.serve(keySet(jwkOf(next)))
	ready(t, v, next) // only the unknown kid asks for the new set: the next refresh is far away
	_, err = v.Verify(old.mint(nil, nil))
	wantError(t, err, ErrUnknownKey) // withdrawn

	i.serve(keySet()) // an issuer may withdraw all keys
	becomes(t, func() bool {
		_, _ = v.Verify(old.mint(nil, nil)) // asks for a load
		_, err := v.Verify(next.mint(nil, nil))
		return errors.Is(err, ErrUnknownKey)
	})
	if n := i.asked.Load(); n > 10 { // one for each change, and a few that got the old set
		t.Errorf("%d requests", n)
	}
}

// TestKeySetOutage: for any answer of the issuer, the last good set stays.
func TestKeySetOutage(t *testing.T) {
	s := signers()["EdDSA"]
	good := keySet(jwkOf(s))
	stop := make(chan struct{})
	for name, answer := range map[string]http.HandlerFunc{
		"status 500":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, string(good), 500) },
		"status 204":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"no answer":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no set":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"null":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":null}`)) },
		"half a set":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good[:len(good)/2]) },
		"too many keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keySet(make([]object, maxKeys+1)...)) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			spaces := bytes.Repeat([]byte(" "), 64<<10)
			for range 1 << 14 { // 1 GiB, if it is read to the end
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		},
		"slow": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[`))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		},
		"redirect to elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://keys.example/", http.StatusFound)
		},
		"endless redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			i := newIssuer(t, good)
			v := verifier(t, func(c *Config) {
				c.Keys, c.KeySetURL, c.RefreshGap, c.Refresh = nil, i.URL+"/keys?key=sesame", time.Millisecond, 20*time.Millisecond
				c.Timeout = 200 * time.Millisecond
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			ready(t, v, s)
			i.does(answer)
			loads(t, v, 2) // the first may have begun before
			if _, err := v.Verify(s.mint(nil, nil)); err != nil {
				t.Errorf("the last good set is gone: %v", err)
			}
			if text := log.String(); !strings.Contains(text, "did not load") || strings.Contains(text, "sesame") {
				t.Errorf("log %q, want a warning without the query", text)
			}
			i.serve(good)
			loads(t, v, 2)
			if !strings.Contains(log.String(), "loads again") {
				t.Errorf("log %q, want that it loads again", log.String())
			}
		})
	}
	close(stop)
}

func TestKeySetDownAtStart(t *testing.T) {
	s := signers()["ES256"]
	i := newIssuer(t, nil)
	v := verifier(t, func(c *Config) { c.Keys, c.KeySetURL, c.RefreshGap = nil, i.URL, time.Millisecond })
	loads(t, v, 1)
	_, err := v.Verify(s.mint(nil, nil))
	wantError(t, err, ErrUnknownKey)
	if e := (*Error)(nil); !errors.As(err, &e) || !e.Retry || v.Ready() {
		t.Errorf("Retry %v, Ready %v, before there was a set", e.Retry, v.Ready())
	}
	i.serve(keySet(jwkOf(s)))
	ready(t, v, s)
}

func TestKeySetFile(t *testing.T) {
	all := signers()
	secret := bytes.Repeat([]byte{7}, MinSecret)
	secretSigner := signer{alg: "HS256", key: Key{id: "oct"}, sign: func(s string) []byte { return hs256(secret, s) }}
	path := write(t, keySet(jwkOf(all["RS256"]), object{"kty": "oct", "kid": "oct", "k": b64(secret)}), 0o600)
	v := verifier(t, func(c *Config) { c.KeySetFile, c.RefreshGap = path, time.Millisecond; c.Keys = c.Keys[:1] })
	for _, s := range []signer{all["RS256"], all["HS256"], secretSigner} { // the set is used beside the keys
		if _, err := v.Verify(s.mint(nil, nil)); err != nil {
			t.Errorf("%s: %v", s.key.ID(), err)
		}
	}
	if err := os.WriteFile(path, keySet(jwkOf(all["ES256"])), 0o600); err != nil {
		t.Fatal(err)
	}
	ready(t, v, all["ES256"])
	_, err := v.Verify(all["RS256"].mint(nil, nil))
	wantError(t, err, ErrUnknownKey)

	if _, err := New(Config{KeySetFile: write(t, []byte("{"), 0o600)}); err == nil {
		t.Error("a broken file is no error at start")
	}
}

// transport answers without a network, so that synctest can control the time.
type transport struct {
	mu  sync.Mutex
	at  []time.Time
	set []byte // nil: fails
}

func (tr *transport) RoundTrip(*http.Request) (*http.Response, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.at = append(tr.at, time.Now())
	if tr.set == nil {
		return nil, errors.New("down")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(tr.set))}, nil
}

func (tr *transport) change(set []byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.set = set
}

func (tr *transport) requests() []time.Time {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return append([]time.Time(nil), tr.at...)
}

// answer is a verifier's answer to a token: "" if it is good, "retry", or "no".
func answer(v *Verifier, token string) string {
	_, err := v.Verify(token)
	e := (*Error)(nil)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Retry:
		return "retry"
	}
	return "no"
}

// TestKeySetRate: thousands of unknown kids cost the issuer one request per gap.
func TestKeySetRate(t *testing.T) {
	s := signers()["EdDSA"]
	stranger := s.mint(object{"kid": "stranger"}, nil)
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{set: keySet(jwkOf(s))}
		v := verifier(t, func(c *Config) {
			c.Keys, c.KeySetURL, c.HTTP = nil, "https://issuer.example/keys", &http.Client{Transport: tr}
			c.Refresh, c.RefreshGap = time.Hour, 10*time.Second
		})
		synctest.Wait()
		for range 1000 {
			if got := answer(v, stranger); got != "retry" {
				t.Fatalf("%q: the set was not fetched since the key was asked for", got)
			}
		}
		time.Sleep(5 * time.Second)
		if n := len(tr.requests()); n != 1 {
			t.Fatalf("%d requests for a young set, want 1", n)
		}
		for i := range 6000 { // a minute
			_, _ = v.Verify(stranger)
			_, _ = v.Verify(s.mint(object{"kid": fmt.Sprint(i)}, nil))
			time.Sleep(10 * time.Millisecond)
		}
		at := tr.requests()
		if len(at) < 6 || len(at) > 8 {
			t.Errorf("%d requests in 65 s, want one per 10 s", len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < 10*time.Second {
				t.Errorf("requests %v apart, want 10 s at least", gap)
			}
		}
		if n := len(v.source.asked.since); n > maxAsked {
			t.Errorf("%d kids are kept, want %d at most", n, maxAsked)
		}
		v.Close()
		if _, err := v.Verify(s.mint(nil, nil)); err != nil {
			t.Errorf("after Close: %v", err)
		}
		_, err := v.VerifyWait(t.Context(), stranger) // must not wait: no load will come
		wantError(t, err, ErrUnknownKey)
	})
}

// TestKeySetNewKey: a token whose key is not in the set gets "retry" until the set was fetched after the first try.
// Then it is good if the key is there, and only then refused for good if it is not.
func TestKeySetNewKey(t *testing.T) {
	old, next := signers()["ES256"], signers()["EdDSA"]
	nameless := func(s signer) object { return merge(jwkOf(s), object{"kid": nil}) }
	other := signers()["RS256"]
	for _, tt := range []struct {
		name        string
		first, then []byte
		token       string
		want        string // in the end
	}{
		{"a new kid", keySet(jwkOf(old)), keySet(jwkOf(old), jwkOf(next)), next.mint(nil, nil), ""},
		{"a new kid in an empty set", keySet(), keySet(jwkOf(next)), next.mint(nil, nil), ""},
		{"no kid, another algorithm", keySet(jwkOf(old)), keySet(jwkOf(next)), next.mint(object{"kid": nil}, nil), ""},
		{"no kid, another key", keySet(nameless(old)), keySet(nameless(old), nameless(next)), next.mint(object{"kid": nil}, nil), ""},
		{"no kid, the same algorithm", keySet(merge(jwkOf(next), object{"x": jwkOf(next)["x"], "kid": nil})), keySet(nameless(next)), next.mint(object{"kid": nil}, nil), ""},
		{"a kid beside one without", keySet(nameless(old)), keySet(nameless(old), jwkOf(next)), next.mint(nil, nil), ""},
		{"a kid that stays unknown", keySet(jwkOf(old)), keySet(jwkOf(old)), next.mint(nil, nil), "no"},
		{"no kid, and no key for it", keySet(jwkOf(old)), keySet(jwkOf(old)), next.mint(object{"kid": nil}, nil), "no"},
		{"a wrong signature without a kid", keySet(jwkOf(other)), keySet(jwkOf(other)), other.mint(object{"kid": nil}, nil) + "AAAA", "no"},
		{"withdrawn", keySet(jwkOf(next)), keySet(), next.mint(object{"kid": "x"}, nil), "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &transport{set: tt.first}
				v := verifier(t, func(c *Config) {
					c.Keys, c.KeySetURL, c.HTTP = nil, "https://issuer.example/keys", &http.Client{Transport: tr}
					c.Refresh, c.RefreshGap = time.Hour, 10*time.Second
				})
				synctest.Wait()
				if answer(v, tt.token) == "" {
					return // the token is good already
				}
				tr.change(tt.then)
				for _, at := range []time.Duration{0, time.Second, 5 * time.Second} {
					time.Sleep(at)
					if got := answer(v, tt.token); got != "retry" {
						t.Fatalf("%q before the set is fetched anew, want retry", got)
					}
				}
				tr.change(nil) // the issuer is down, so the key may still come
				time.Sleep(5 * time.Second)
				if got := answer(v, tt.token); got != "retry" || len(tr.requests()) != 2 {
					t.Fatalf("%q after %d requests, one of which failed, want retry", got, len(tr.requests()))
				}
				tr.change(tt.then)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := answer(v, tt.token); got != tt.want || len(tr.requests()) != 3 {
					t.Errorf("%q in the end, after %d requests, want %q", got, len(tr.requests()), tt.want)
				}
				if tt.want == "" {
					return
				}
				// A while later that answer is out of date: the key may have come.
				time.Sleep(11 * time.Second)
				if got := answer(v, tt.token); got != "retry" {
					t.Errorf("%q when the set is old, want retry", got)
				}
			})
		})
	}
}

// TestKeyNamed: if a token names a key that is here, it does not wait for other keys.
func TestKeyNamed(t *testing.T) {
	es, ed := signers()["ES256"], signers()["EdDSA"]
	v := verifier(t, func(c *Config) { c.Keys, c.KeySetFile = nil, write(t, keySet(jwkOf(es)), 0o600) })
	for name, token := range map[string]string{
		"forged":               compact(`{"alg":"ES256","kid":"`+es.key.ID()+`"}`, `{"sub":"alice","exp":9999999999}`, func(string) []byte { return make([]byte, 64) }),
		"of another algorithm": ed.mint(object{"kid": es.key.ID()}, nil),
		"of none":              compact(`{"alg":"none"}`, `{"sub":"alice"}`, func(string) []byte { return nil }),
		"of one that is gone":  compact(`{"alg":"RS512","kid":"new"}`, `{"sub":"alice"}`, func(string) []byte { return []byte("x") }),
		"malformed":            "x",
	} {
		if got := answer(v, token); got != "no" {
			t.Errorf("%s: %q, want no", name, got)
		}
	}
}

// TestKeySetBackOff: an issuer that is down gets fewer and fewer requests, but never fewer than one that is up.
func TestKeySetBackOff(t *testing.T) {
	s := signers()["EdDSA"]
	good := keySet(jwkOf(s))
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{}
		v := verifier(t, func(c *Config) {
			c.Keys, c.KeySetURL, c.HTTP = nil, "https://issuer.example/keys", &http.Client{Transport: tr}
			c.Refresh, c.RefreshGap = 5*time.Minute, 10*time.Second
		})
		time.Sleep(30 * time.Minute)
		at := tr.requests()
		defer func() { // unknown keys make the pause gap, not less
			before := len(tr.requests())
			for range 6000 { // a minute
				_, _ = v.Verify(s.mint(object{"kid": "x"}, nil))
				time.Sleep(10 * time.Millisecond)
			}
			if n := len(tr.requests()) - before; n < 5 || n > 7 {
				t.Errorf("%d requests in a minute of strangers, want one per 10 s", n)
			}
		}()
		want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second}
		for i, gap := range want {
			if got := at[i+1].Sub(at[i]); got != gap {
				t.Errorf("pause %d is %v, want %v", i, got, gap)
			}
		}
		for i := len(want) + 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap > 5*time.Minute || gap < 270*time.Second {
				t.Errorf("pause %d is %v, want about the interval", i, gap)
			}
		}
		tr.change(good)
		// A caller that waits makes the load come sooner, and gets in.
		start := time.Now()
		if _, err := v.VerifyWait(t.Context(), s.mint(nil, nil)); err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(11 * time.Second)
		tr.change(nil)
		_, err := v.VerifyWait(ctx, s.mint(object{"kid": "x"}, nil))
		wantError(t, err, ErrUnknownKey)
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func keySet(keys ...object) []byte {
	if keys == nil {
		keys = []object{}
	}
	b, err := json.Marshal(object{"keys": keys})
	if err != nil {
		panic(err)
	}
	return b
}
