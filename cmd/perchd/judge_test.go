package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/wstest"
)

// TestConfigWarnsAsPerchd: perchd config prints the warnings of perchd in the same words, and both go on.
func TestConfigWarnsAsPerchd(t *testing.T) {
	dir := t.TempDir()
	shared := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // so that the umask does not matter
			t.Fatal(err)
		}
		return path
	}
	secret := shared("secret", strings.Repeat("s", auth.MinSecret))
	metrics := shared("metrics", "a-key-of-metrics-0123")
	set := shared("jwks", `{"keys":[{"kty":"oct","kid":"k","k":"`+strings.Repeat("s", 44)+`"}]}`)
	cert, key := pair(t, dir, wstest.NewAuthority(t).Issue("127.0.0.1"))
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	oldCert, oldKey := pair(t, t.TempDir(), expired(t))
	for _, tt := range []struct{ args, says string }{
		{"--auth-key " + secret, "auth-key (--auth-key): " + secret + " has mode 0644: other users can read this secret"},
		{"--auth-jwks-file " + set, "auth-jwks-file (--auth-jwks-file): " + set + " has mode 0644: other users can read this secret"},
		{"--metrics-key " + metrics, "metrics-key (--metrics-key): " + metrics + " has mode 0644: other users can read this secret"},
		{"--tls-cert " + cert + " --tls-key " + key, "tls-key (--tls-key): " + key + " has mode 0644: other users can read this secret"},
		{"--tls-cert " + oldCert + " --tls-key " + oldKey, "tls-cert (--tls-cert): " + oldCert + " is valid from"},
		{"--origin *", "origin (--origin): with * every web page may connect"},
		{"--max-connections 50", "max-connections-per-ip (default): one address may take all connections"},
		{"--max-output-total 0", "max-output-total (--max-output-total): without a limit"},
	} {
		args := append(strings.Fields(tt.args), "--listen", "127.0.0.1:0")
		p := perchd(t, append([]string{"config"}, args...)...)
		if code := p.wait(); code != 0 || !strings.Contains(p.output(), "\nperchd would warn: "+tt.says) {
			t.Errorf("perchd config %s: status %d, no %q in\n%s", tt.args, code, tt.says, p.output())
		}
		p = perchd(t, args...)
		if line := p.line(tt.says); !strings.Contains(line, "WARN") {
			t.Errorf("%s: %s", tt.args, line)
		}
		p.line("perchd serves")
	}
}

// expired is a certificate that was valid until yesterday.
func expired(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(0, 0, -2), NotAfter: now.AddDate(0, 0, -1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestReloadJudgesFiles: a file that everybody may write by now is not read anew.
func TestReloadJudgesFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(strings.Repeat("s", auth.MinSecret)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serving(t, "--auth-key", path)
	for mode, says := range map[os.FileMode]string{0o646: "nothing was reloaded", 0o600: "reloaded; other settings"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
		p.line(says)
	}
}

// TestNamelessKeys: the configuration allows as many keys without a kid as one token is tried with.
func TestNamelessKeys(t *testing.T) {
	c, err := config.Load([]string{"--auth-key", "k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var f config.Facts
	for err == nil {
		f.Verifiers = append(f.Verifiers, config.Verifier{Key: "auth-key", Algorithm: "EdDSA"})
		_, err = c.Judge(f)
	}
	if n := len(f.Verifiers); n != auth.MaxTries+1 {
		t.Errorf("%d are refused, and one token is tried with %d", n, auth.MaxTries)
	}
}
