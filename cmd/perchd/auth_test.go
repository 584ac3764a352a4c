package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// keyPair writes an Ed25519 key: the private half, for perchd token, and the public one.
func keyPair(t *testing.T) (private, public string, key ed25519.PublicKey) {
	t.Helper()
	key, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) string {
		path := filepath.Join(t.TempDir(), name)
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	private = write("private.pem", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(key)
	return private, write("public.pem", "PUBLIC KEY", der, err), key
}

// TestKeyDemandsTokens: with a key, a token is needed everywhere except at /ws and in plain HTTP.
func TestKeyDemandsTokens(t *testing.T) {
	private, public, _ := keyPair(t)
	p := serving(t, "--listen", "0.0.0.0:0", "--auth-key", "k1="+public, "--auth-cookie", "perch_token")
	_, port, _ := strings.Cut(p.addr, ":")
	p.addr = "127.0.0.1:" + port
	if strings.Contains(p.output(), "runs open") {
		t.Error("says that it runs open")
	}

	for _, path := range []string{"/", "/chat", "/health", "/ready", "/static/console.js"} {
		if status, _ := p.get("perch.example", path); status != 200 {
			t.Errorf("GET %s: %d, want 200", path, status)
		}
	}
	if status, _ := p.get("perch.example", "/metrics"); status != 403 {
		t.Errorf("GET /metrics: %d, want 403", status)
	}
	echo := wstest.Dial(t, p.addr, "/ws")
	echo.Send(wstest.Text("hello"))
	echo.ExpectText("Echo: hello")

	good := token(t, "--sub", "7", "--key", private, "--kid", "k1")
	dev := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dev)
	for _, e := range endpoints {
		ask := func(headers ...string) *wstest.Conn {
			c := wstest.Dial(t, p.addr, e.target, headers...)
			c.Send(wstest.Text(e.first))
			return c
		}
		if reason := closedWith(t, ask(), frame.ClosePolicyViolation); reason != "Authentication required" {
			t.Errorf("%s without a token: closed with %q", e.target, reason)
		}
		// of the development key
		closedWith(t, ask("Authorization: Bearer "+token(t, "--sub", "7")), frame.ClosePolicyViolation)
		for _, header := range []string{
			"Authorization: Bearer " + good,
			"Cookie: perch_token=" + good,
			"Sec-WebSocket-Protocol: perch.v1, bearer." + base64.RawURLEncoding.EncodeToString([]byte(good)),
		} {
			welcome(t, ask(header))
		}
	}
}

// TestKeySet: perchd is not ready as long as its key set has not been loaded; its clients come back.
func TestKeySet(t *testing.T) {
	private, _, key := keyPair(t)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-answer:
		case <-r.Context().Done(): // perchd has ended
			return
		}
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(key))
	}))
	t.Cleanup(issuer.Close)
	p := serving(t, "--auth-jwks-url", issuer.URL+"/jwks")
	good := token(t, "--sub", "7", "--key", private, "--kid", "k1")

	wstest.Receive(t, "the request for the key set", asked)
	if status, body := p.get("", "/ready"); status != 503 || strings.TrimSpace(body) != `{"status":"not ready","reasons":["the key set was not loaded yet"]}` {
		t.Errorf("before: %d %s", status, body)
	}
	if status, _ := p.get("", "/health"); status != 200 {
		t.Errorf("health: %d, want 200: perchd lives", status)
	}
	closedWith(t, wstest.Dial(t, p.addr, "/ws/7", "Authorization: Bearer "+good), frame.CloseTryAgainLater)

	close(answer)
	wstest.Eventually(t, "perchd is ready", func() bool {
		status, _ := p.get("", "/ready")
		return status == 200
	})
	c := wstest.Dial(t, p.addr, "/ws/7", "Authorization: Bearer "+good)
	c.Send(wstest.Text("hello"))
	welcome(t, c)
}

// TestKeyFiles: perchd accepts a public key in every form that it reads, as one and the same key, refuses other
// forms, and takes no public key for a secret.
func TestKeyFiles(t *testing.T) {
	private, public, key := keyPair(t)
	x := base64.RawURLEncoding.EncodeToString(key)
	jwk := `{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"` + x + `"}`
	block, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := pem.Decode(block)
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der := string(parsed.Bytes)
	for name, content := range map[string]string{"DER": der, "JWK": jwk} {
		path := file(content)
		p := serving(t, "--auth-key", "k1="+path)
		if said := p.output(); !strings.Contains(said, `"msg":"a key verifies tokens","key":{"kid":"k1","algorithm":"EdDSA","file":"`+path+`"}`) {
			t.Errorf("%s: the log does not name the key: %s", name, said)
		}
		c := wstest.Dial(t, p.addr, "/ws/7", "Authorization: Bearer "+token(t, "--sub", "7", "--key", private, "--kid", "k1"))
		c.Send(wstest.Text("hello"))
		welcome(t, c)
		forged, err := forge([]byte(content))
		if err != nil {
			t.Fatal(err)
		}
		closedWith(t, wstest.Dial(t, p.addr, "/ws/7", "Authorization: Bearer "+forged), frame.ClosePolicyViolation)
	}
	for name, tt := range map[string]struct{ path, says string }{
		"JWK set":    {file(`{"keys":[` + jwk + `]}`), "auth-jwks-file"},
		"base64 JWK": {file(base64.StdEncoding.EncodeToString([]byte(jwk))), "base64 of JSON"},
		"private":    {private, "private key"},
		"short":      {file("secret\n"), "6 bytes"},
	} {
		said := refuses(t, 2, "--listen", "127.0.0.1:0", "--auth-key", tt.path)
		if !strings.Contains(said, "auth-key (--auth-key)") || !strings.Contains(said, tt.path) || !strings.Contains(said, tt.says) {
			t.Errorf("%s: said %q, want the key, the file and %q in it", name, said, tt.says)
		}
	}
}

// forge signs a token as if a public key were a secret.
func forge(public []byte) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + b64([]byte(`{"sub":"7","exp":9999999999}`))
	h := hmac.New(sha256.New, public)
	_, err := h.Write([]byte(signed))
	return signed + "." + b64(h.Sum(nil)), err
}

func TestKeysThatCannotBe(t *testing.T) {
	for _, tt := range []struct{ flag, value string }{
		{"auth-key", "/nowhere/key.pem"},
		{"auth-key", "k1=" + os.Args[0]},
		{"auth-jwks-file", "/nowhere/jwks.json"},
		{"auth-jwks-url", "http://192.0.2.1/jwks"},
	} {
		said := refuses(t, 2, "--"+tt.flag, tt.value)
		if want := tt.flag + " (--" + tt.flag + ")"; !strings.Contains(said, want) {
			t.Errorf("perchd said %q, want %q in it", said, want)
		}
	}
}

// TestLogHasNoToken: at the most verbose level, for good and bad tokens, in every carrier.
func TestLogHasNoToken(t *testing.T) {
	p := serving(t, "--log-level", "debug")
	t.Setenv("XDG_STATE_HOME", p.state)
	good := token(t, "--sub", "7")
	tokens := []string{good, good[:len(good)-4] + "AAAA", "opaque-5ecret"}
	for _, tok := range tokens {
		for _, path := range []string{"/ws/7", "/ws/safe", "/ws?raw=1"} {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			for _, header := range []string{"X-No: token", "Authorization: Bearer " + tok} {
				c := wstest.Connect(t, p.addr)
				c.Write(wstest.Request(p.addr, path+sep+"token="+tok, header))
				if c.ReadResponse().Status == 101 {
					c.Send(wstest.Text(`{"type":"refresh_token","token":"`+tok+`"}`), wstest.Close(frame.CloseNormal, ""))
				}
				c.ExpectGone()
			}
		}
		p.get("", "/nothing?token="+tok)
		p.get("", "/?token="+tok)
	}
	p.signal(15)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	out := p.output()
	if !strings.Contains(out, "client refused") {
		t.Error("the log has no refused client, so the test proves nothing")
	}
	for _, tok := range tokens {
		if strings.Contains(out, tok) || strings.Contains(out, tok[max(0, len(tok)-20):]) {
			t.Errorf("the log has the token %s", tok)
		}
	}
}
