package main

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/bench/peers/wire"
)

// TestDeflate: with {threshold} and the offer of a browser, long messages come
// back compressed without context, short ones as they are.
func TestDeflate(t *testing.T) {
	long := strings.Repeat("compressible ", 200)
	for _, p := range list(t) {
		if p.Deflate == nil {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			var args []string
			for _, a := range p.Deflate {
				args = append(args, strings.ReplaceAll(a, "{threshold}", "1024"))
			}
			s := start(t, p, args...)
			const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"
			for _, path := range []string{"/ws", "/fan"} {
				c, err := wire.Open(s.Addr, path, offer)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				agreed := c.Header.Get("Sec-WebSocket-Extensions")
				if !strings.Contains(agreed, "permessage-deflate") || !strings.Contains(agreed, "server_no_context_takeover") {
					t.Errorf("%s: agreed to %q", path, agreed)
				}
				for range 2 { // the second shows that nothing of the first is needed
					if f := exchange(t, c, wire.Frame(wire.Fin|wire.RSV1|wire.Text, deflated(long))); f.First != wire.Fin|wire.RSV1|wire.Text || inflated(f.Payload) != long {
						t.Errorf("%s: long message: %#x, %d bytes", path, f.First, len(f.Payload))
					}
				}
				if f := exchange(t, c, wire.Frame(wire.Fin|wire.Text, "short")); f != (wire.Received{First: wire.Fin | wire.Text, Payload: "short"}) {
					t.Errorf("%s: short message: %#x %q", path, f.First, f.Payload)
				}
			}
		})
	}
}

// TestNoDeflate: without being asked for, nothing is compressed.
func TestNoDeflate(t *testing.T) {
	for _, p := range list(t) {
		t.Run(p.Name, func(t *testing.T) {
			c, err := wire.Open(start(t, p).Addr, "/ws", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if agreed := c.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
				t.Errorf("agreed to %q", agreed)
			}
		})
	}
}

func exchange(t *testing.T, c *wire.Client, b []byte) wire.Received {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(wire.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	f, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// deflated is RFC 7692 7.2.1: without the last four bytes of the sync marker.
func deflated(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func inflated(s string) string {
	b, _ := io.ReadAll(flate.NewReader(strings.NewReader(s + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return string(b)
}

func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	for _, p := range list(t) {
		if p.TLS == nil {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			var args []string
			for _, a := range p.TLS {
				args = append(args, strings.NewReplacer("{cert}", cert, "{key}", key).Replace(a))
			}
			conn, err := tls.Dial("tcp", start(t, p, args...).Addr, &tls.Config{RootCAs: roots})
			if err != nil {
				t.Fatal(err)
			}
			c, err := wire.Upgrade(conn, "/ws")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.Answer(wire.Frame(wire.Fin|wire.Text, "secret")); got != `text "secret"` {
				t.Error(got)
			}
		})
	}
}

// TestTLSHalf: a certificate without its key, or a key alone, is refused.
func TestTLSHalf(t *testing.T) {
	cert, key, _ := certificate(t)
	for _, p := range list(t) {
		t.Run(p.Name, func(t *testing.T) {
			bin := built(t, p)
			for _, half := range [][]string{{"--tls-cert", cert}, {"--tls-key", key}} {
				var args []string
				for _, a := range append(p.Run[:len(p.Run):len(p.Run)], half...) {
					args = append(args, strings.NewReplacer("{bin}", bin, "{port}", "0").Replace(a))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 2 || p.TLS != nil && !bytes.Contains(out, []byte("go together")) {
					t.Errorf("%s: %v, want exit status 2\n%s", half[0], err, out)
				}
			}
		})
	}
}

// certificate makes one for 127.0.0.1 and returns its files.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, roots
}
