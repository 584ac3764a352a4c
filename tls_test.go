//go:build linux

package perch_test

import (
	"crypto/tls"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// versions of TLS that we serve.
var versions = []struct {
	name string
	id   uint16
}{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}

// secured is cfg with a certificate of its own for localhost and
// 127.0.0.1, and returns what a client needs to speak to it.
func secured(t testing.TB, cfg perch.Config) (perch.Config, *tls.Config) {
	t.Helper()
	a := wstest.NewAuthority(t)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{a.Issue("localhost", "127.0.0.1")}}
	return cfg, &tls.Config{RootCAs: a.Pool, ServerName: "localhost"}
}

// eachVersion runs f against a server of h, once for each version of TLS.
func eachVersion(t *testing.T, cfg perch.Config, h perch.Handler, f func(t *testing.T, srv *perch.Server, client *tls.Config)) {
	for _, v := range versions {
		t.Run("TLS "+v.name, func(t *testing.T) {
			cfg, client := secured(t, cfg)
			client.MinVersion, client.MaxVersion = v.id, v.id
			srv := startRoute(t, cfg, h)
			f(t, srv, client)
		})
	}
}

// startSecure serves h on /ws over TLS, of any version.
func startSecure(t *testing.T, cfg perch.Config, h perch.Handler) (*perch.Server, *tls.Config) {
	t.Helper()
	cfg, client := secured(t, cfg)
	return startRoute(t, cfg, h), client
}

// dialTLS is dial over TLS.
func dialTLS(t testing.TB, srv *perch.Server, client *tls.Config) *wstest.Conn {
	t.Helper()
	return wstest.DialTLS(t, srv.Addr().String(), "/ws", client)
}

func TestTLSEcho(t *testing.T) {
	eachVersion(t, perch.Config{}, echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := dialTLS(t, srv, client)
		if p := c.TLS().NegotiatedProtocol; p != "" {
			t.Errorf("ALPN chose %q for a client that offers nothing", p)
		}
		c.Send(wstest.Text("hello"), wstest.Text("again"))
		c.ExpectText("hello")
		c.ExpectText("again")
		c.Chop(1, wstest.Text("in pieces"))
		c.ExpectText("in pieces")
		c.Send(wstest.Frame{Op: frame.OpPing, Payload: []byte("there?")})
		c.ExpectPong("there?")
		c.CloseHandshake(perch.CloseNormal)
		s := awaitStats(t, srv, "the connection is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
		if s.TLSHandshakes != 1 || s.TLSFailed != 0 || s.TLSRunning != 0 || s.TLSPeak != 1 {
			t.Errorf("%d handshakes, %d failed, %d run, at most %d", s.TLSHandshakes, s.TLSFailed, s.TLSRunning, s.TLSPeak)
		}
	})
}
