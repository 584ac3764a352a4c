//go:build linux

package enginetest

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// ClientHello is the first record of a TLS client.
func ClientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
	b := make([]byte, 16<<10)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// Secured is cfg with a certificate of its own for localhost and
// 127.0.0.1, and returns what a client needs to speak to it.
func Secured(t testing.TB, cfg perch.Config) (perch.Config, *tls.Config) {
	t.Helper()
	a := wstest.NewAuthority(t)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{a.Issue("localhost", "127.0.0.1")}}
	return cfg, &tls.Config{RootCAs: a.Pool, ServerName: "localhost"}
}

// DialTLS is [Dial] over TLS.
func DialTLS(t testing.TB, srv *perch.Server, client *tls.Config) *wstest.Conn {
	t.Helper()
	return wstest.DialTLS(t, srv.Addr().String(), "/ws", client)
}
