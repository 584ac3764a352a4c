package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/certs"
	"github.com/perchws/perch/internal/wstest"
)

// pair writes a certificate and its key to files, over older ones.
func pair(t *testing.T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	replace(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return cert, key
}

// replace renames a new file over path, as programs that renew certificates do.
func replace(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// echoes sends a word over c and waits for it.
func echoes(c *wstest.Conn, word string) {
	c.Send(wstest.Text(word))
	c.ExpectText("Echo: " + word)
}

// The certificate has the fingerprint that is logged, and open mode is the same as without TLS.
func TestSelfSigned(t *testing.T) {
	p := perchd(t, "--listen", "127.0.0.1:0", "--log-format", "json", "--tls-self-signed")
	var warned struct{ SHA256 string }
	if err := json.Unmarshal([]byte(p.line("self-signed")), &warned); err != nil {
		t.Fatal(err)
	}
	said := p.line("perchd serves")
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(said), &line); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://" + line.Address, "wss://" + line.Address} {
		if !strings.Contains(said, url) {
			t.Errorf("no %s in %s", url, said)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := wstest.DialTLS(t, line.Address, "/ws", &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		leaf := c.TLS().PeerCertificates[0]
		if got := certs.Fingerprint(tls.Certificate{Certificate: [][]byte{leaf.Raw}}); got != warned.SHA256 {
			t.Errorf("fingerprint %s, logged %s", got, warned.SHA256)
		}
		if err := leaf.VerifyHostname("127.0.0.1"); err != nil {
			t.Error(err)
		}
		echoes(c, "hello")
	}
	foreign := wstest.Connect(t, line.Address)
	foreign.Secure(&tls.Config{InsecureSkipVerify: true})
	foreign.Write(wstest.Request("evil.example", "/ws"))
	if r := foreign.ReadResponse(); r.Status != 403 {
		t.Errorf("another host gets %d, want 403", r.Status)
	}
	plain := wstest.Connect(t, line.Address)
	plain.Write(wstest.Request(line.Address, "/ws"))
	if r := plain.ReadResponse(); r.Status != 400 || !strings.Contains(string(r.Body), "HTTPS") {
		t.Errorf("plain HTTP gets %d %q, want 400 and a reason", r.Status, r.Body)
	}
}

func TestTLSErrors(t *testing.T) {
	a := wstest.NewAuthority(t)
	cert, key := pair(t, t.TempDir(), a.Issue("127.0.0.1"))
	_, other := pair(t, t.TempDir(), a.Issue("127.0.0.1"))
	for _, tt := range []struct {
		key  string
		args []string
	}{
		{"tls-key", []string{"--tls-cert", cert}},
		{"tls-key", []string{"--tls-key", key}},
		{"tls-key", []string{"--tls-cert", cert, "--tls-cert", cert, "--tls-key", key}},
		{"tls-cert", []string{"--tls-cert", cert, "--tls-key", other}},
		{"tls-cert", []string{"--tls-cert", cert + ".none", "--tls-key", key}},
		{"tls-self-signed", []string{"--tls-self-signed", "--tls-cert", cert, "--tls-key", key}},
		{"tls-client-ca", []string{"--tls-client-ca", cert}},
		{"tls-client-ca", []string{"--tls-self-signed", "--tls-client-ca", key}},
		{"tls-client-ca", []string{"--tls-self-signed", "--tls-client-ca", cert + ".none"}},
	} {
		p := perchd(t, append([]string{"--listen", "127.0.0.1:0"}, tt.args...)...)
		if code := p.wait(); code == 0 || !strings.Contains(p.output(), tt.key) {
			t.Errorf("%q: exit status %d, and said %q, without %s", tt.args, code, p.output(), tt.key)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	a, stranger := wstest.NewAuthority(t), wstest.NewAuthority(t)
	dir := t.TempDir()
	cert, key := pair(t, dir, a.Issue("127.0.0.1"))
	ca := filepath.Join(dir, "ca.pem")
	replace(t, ca, a.PEM())
	p := serving(t, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca)
	config := &tls.Config{RootCAs: a.Pool, ServerName: "127.0.0.1"}
	with := func(c tls.Certificate) *tls.Config {
		t := config.Clone()
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
		return t
	}
	for name, refused := range map[string]*tls.Config{"none": config, "another's": with(stranger.Issue("ada"))} {
		c := wstest.Connect(t, p.addr)
		if err := c.TrySecure(refused); err != nil { // with TLS 1.3 the client is told later
			continue
		}
		_ = c.TryWrite(wstest.Request(p.addr, "/ws"))
		if r, err := c.TryReadResponse(); err == nil {
			t.Errorf("certificate %s: got status %d", name, r.Status)
		}
	}
	echoes(wstest.DialTLS(t, p.addr, "/ws", with(a.Issue("ada"))), "hello")
}

// Clients that are connected do not notice that the certificate changes.
func TestCertificateReload(t *testing.T) {
	a, dir := wstest.NewAuthority(t), t.TempDir()
	cert, key := pair(t, dir, a.Issue("127.0.0.1", "first.example"))
	p := serving(t, "--tls-cert", cert, "--tls-key", key)
	config := &tls.Config{RootCAs: a.Pool, ServerName: "127.0.0.1"}
	var open []*wstest.Conn
	for range 300 {
		open = append(open, wstest.DialTLS(t, p.addr, "/ws", config))
	}
	all := func(when string) {
		t.Helper()
		for i, c := range open {
			echoes(c, fmt.Sprint(when, i))
		}
	}
	served := func() string {
		c, err := tls.Dial("tcp", p.addr, config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	all("before")
	pair(t, dir, a.Issue("127.0.0.1", "second.example"))
	wstest.Eventually(t, "the second certificate", func() bool { return served() == "second.example" })
	all("after")
	replace(t, key, []byte("nothing"))
	wstest.Eventually(t, "a broken pair is logged", func() bool {
		if got := served(); got != "second.example" {
			t.Fatalf("with a broken pair the certificate is that of %s", got)
		}
		return strings.Contains(p.output(), "not reloaded")
	})
	all("broken")
	pair(t, dir, a.Issue("127.0.0.1", "third.example"))
	wstest.Eventually(t, "the third certificate", func() bool { return served() == "third.example" })
	all("repaired")
}
