//go:build linux

package tls_test

import (
	"crypto/tls"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// versions of TLS that we serve.
var versions = []struct {
	name string
	id   uint16
}{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}

// eachVersion runs f against a server of h, once for each version of TLS.
func eachVersion(t *testing.T, cfg perch.Config, h perch.Handler, f func(t *testing.T, srv *perch.Server, client *tls.Config)) {
	for _, v := range versions {
		t.Run("TLS "+v.name, func(t *testing.T) {
			cfg, client := enginetest.Secured(t, cfg)
			client.MinVersion, client.MaxVersion = v.id, v.id
			srv := enginetest.StartRoute(t, cfg, h)
			f(t, srv, client)
		})
	}
}

// startSecure serves h on /ws over TLS, of any version.
func startSecure(t *testing.T, cfg perch.Config, h perch.Handler) (*perch.Server, *tls.Config) {
	t.Helper()
	cfg, client := enginetest.Secured(t, cfg)
	return enginetest.StartRoute(t, cfg, h), client
}

func TestTLSEcho(t *testing.T) {
	eachVersion(t, perch.Config{}, enginetest.Echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := enginetest.DialTLS(t, srv, client)
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
		s := enginetest.AwaitStats(t, srv, "the connection is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
		if s.TLSHandshakes != 1 || s.TLSFailed != 0 || s.TLSRunning != 0 || s.TLSPeak != 1 {
			t.Errorf("%d handshakes, %d failed, %d run, at most %d", s.TLSHandshakes, s.TLSFailed, s.TLSRunning, s.TLSPeak)
		}
	})
}
