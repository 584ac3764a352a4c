package certs

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// write makes a pair of files with a certificate for a host.
func write(t *testing.T, dir, name, host string) Pair {
	t.Helper()
	p := Pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
	c, err := SelfSigned(host)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	put(t, p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	put(t, p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	return p
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	// The times of files have the resolution of the kernel's tick: two writes may have the same time.
	later = later.Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

var later = time.Now()

// asked returns the host of the certificate that a client gets that asks for name.
func asked(t *testing.T, f *Files, name string) string {
	t.Helper()
	c, err := f.GetCertificate(&tls.ClientHelloInfo{
		ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.DNSNames[len(c.Leaf.DNSNames)-1]
}

// due makes the next handshake look at the files.
func (f *Files) due() { f.looked.Store(0) }

func TestNames(t *testing.T) {
	dir := t.TempDir()
	f, err := Load([]Pair{write(t, dir, "a", "a.example"), write(t, dir, "b", "*.b.example")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.example": "a.example", "x.b.example": "*.b.example", "other.example": "a.example", "": "a.example"} {
		if got := asked(t, f, name); got != want {
			t.Errorf("%q gets that of %s, want %s", name, got, want)
		}
	}
}

// A pair that has changed is used. Half a pair is not, and that is logged once.
func TestReload(t *testing.T) {
	var log strings.Builder
	dir := t.TempDir()
	p, other := write(t, dir, "a", "first.example"), write(t, dir, "b", "third.example")
	f, err := Load([]Pair{p}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a", "second.example")
	if got := asked(t, f, "x"); got != "first.example" {
		t.Errorf("the files are looked at again at once: %s", got)
	}
	f.due()
	if got := asked(t, f, "x"); got != "second.example" {
		t.Errorf("after a change: %s", got)
	}
	third, err := os.ReadFile(other.Cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, p.Cert, third) // its key follows later
	for range 3 {
		f.due()
		if got := asked(t, f, "x"); got != "second.example" {
			t.Errorf("with half of a pair: %s", got)
		}
	}
	if n := strings.Count(log.String(), "not reloaded"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	put(t, p.Key, key)
	f.due()
	if got := asked(t, f, "x"); got != "third.example" {
		t.Errorf("with the other half: %s", got)
	}
	if err := os.Remove(p.Cert); err != nil {
		t.Fatal(err)
	}
	f.due()
	if got := asked(t, f, "x"); got != "third.example" {
		t.Errorf("with no file: %s", got)
	}
}

// TestReloadAtOnce: Reload does not wait for the next look, and reads files even if their times have not changed.
func TestReloadAtOnce(t *testing.T) {
	var log strings.Builder
	dir := t.TempDir()
	p := write(t, dir, "a", "first.example")
	f, err := Load([]Pair{p}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a", "second.example")
	f.Reload()
	if got := asked(t, f, "x"); got != "second.example" {
		t.Errorf("after a change: %s", got)
	}
	f.Reload()
	if n := strings.Count(log.String(), "certificate reloaded"); n != 2 {
		t.Errorf("%d lines, want one for each time:\n%s", n, log.String())
	}
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	f.Reload()
	if got := asked(t, f, "x"); got != "second.example" || !strings.Contains(log.String(), "not reloaded") {
		t.Errorf("without a key: %s\n%s", got, log.String())
	}
}

// Handshakes do not wait for the one that reads the files.
func TestReloadByOne(t *testing.T) {
	f, err := Load([]Pair{write(t, t.TempDir(), "a", "a.example")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				f.due()
				asked(t, f, "a.example")
			}
		})
	}
	all.Wait()
	f.mu.Lock() // as if another handshake read the files
	f.due()
	f.looked.Store(time.Now().UnixNano())
	asked(t, f, "a.example")
	f.mu.Unlock()
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", "a.example"), write(t, dir, "b", "b.example")
	for _, p := range []Pair{{a.Cert, b.Key}, {a.Key, a.Key}, {a.Cert, filepath.Join(dir, "none")}} {
		_, err := Load([]Pair{a, p}, nil)
		if err == nil || !strings.Contains(err.Error(), p.Cert) || !strings.Contains(err.Error(), p.Key) {
			t.Errorf("%v: %v", p, err)
		}
	}
	if _, err := Load([]Pair{{"none", "none"}}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSelfSigned(t *testing.T) {
	c, err := SelfSigned("dev.example", "192.0.2.7", "0.0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "dev.example", "192.0.2.7"} {
		if err := c.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if got := len(c.Leaf.IPAddresses); got != 3 {
		t.Errorf("addresses %v", c.Leaf.IPAddresses)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
	if f := Fingerprint(c); len(f) != 64 || slices.Contains([]byte(f), ':') {
		t.Errorf("fingerprint %q", f)
	}
}
