//go:build linux

package tls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// A configuration as autocert makes it answers TLS-ALPN-01: the challenge gets its
// certificate and an end, everybody else is served as before. It is so too when
// GetConfigForClient returns it.
func TestTLSChallenge(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := (&acme.Client{Key: key}).TLSALPN01ChallengeCert("token", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Config.TLS", "GetConfigForClient"} {
		t.Run(name, func(t *testing.T) {
			cfg, client := enginetest.Secured(t, perch.Config{})
			ordinary := cfg.TLS.Certificates[0]
			managed := &tls.Config{ // as autocert.Manager.TLSConfig
				NextProtos: []string{"h2", "http/1.1", acme.ALPNProto},
				GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
					if slices.Equal(h.SupportedProtos, []string{acme.ALPNProto}) {
						return &challenge, nil
					}
					return &ordinary, nil
				},
			}
			cfg.TLS = managed
			if name == "GetConfigForClient" {
				cfg.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return managed, nil }}
			}
			srv := enginetest.StartRoute(t, cfg, enginetest.Echo())

			authority := &tls.Config{ServerName: "localhost", NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true}
			c := wstest.Connect(t, srv.Addr().String())
			c.Secure(authority)
			state := c.TLS()
			if state.NegotiatedProtocol != acme.ALPNProto || !slices.Equal(state.PeerCertificates[0].Raw, challenge.Certificate[0]) {
				t.Errorf("the challenge is answered with %q and a certificate of %v", state.NegotiatedProtocol, state.PeerCertificates[0].DNSNames)
			}
			c.ExpectEOF()
			c.Close()
			enginetest.AwaitStats(t, srv, "the challenge is gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.TLSHandshakes == 1 && s.TLSFailed == 0 })

			browser := client.Clone()
			browser.NextProtos = []string{"h2", "http/1.1"}
			for _, config := range []*tls.Config{client, browser} {
				c := enginetest.DialTLS(t, srv, config)
				c.Send(wstest.Text("hello"))
				c.ExpectText("hello")
				if p := c.TLS().NegotiatedProtocol; p != "" && p != "http/1.1" {
					t.Errorf("ALPN chose %q", p)
				}
			}
			alone := client.Clone()
			alone.NextProtos = []string{"h2"}
			if err := wstest.Connect(t, srv.Addr().String()).TrySecure(alone); err == nil || !strings.Contains(err.Error(), "no application protocol") {
				t.Errorf("HTTP/2 alone: %v", err)
			}
		})
	}
}

// Of TLS 1.2 the suites with AEAD and forward secrecy are served, and others where the
// configuration names them.
func TestTLSSuites(t *testing.T) {
	var aead, rest []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		switch {
		case !slices.Contains(s.SupportedVersions, tls.VersionTLS12) || strings.Contains(s.Name, "_RSA_WITH_") && strings.Contains(s.Name, "ECDHE_RSA"):
		case strings.HasPrefix(s.Name, "TLS_ECDHE_ECDSA") && (strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "_POLY1305_")):
			aead = append(aead, s.ID)
		default:
			rest = append(rest, s.ID)
		}
	}
	if len(aead) != 3 || len(rest) < 5 {
		t.Fatalf("%d and %d suites", len(aead), len(rest))
	}
	try := func(srv *perch.Server, client *tls.Config, suite uint16) error {
		config := client.Clone()
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{suite}
		c := wstest.Connect(t, srv.Addr().String())
		defer c.Close()
		return c.TrySecure(config)
	}
	srv, client := startSecure(t, perch.Config{}, enginetest.Echo())
	for _, suite := range aead {
		if err := try(srv, client, suite); err != nil {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
	}
	for _, suite := range rest {
		if err := try(srv, client, suite); err == nil {
			t.Errorf("%s is served", tls.CipherSuiteName(suite))
		}
	}
	cfg, client := enginetest.Secured(t, perch.Config{})
	cfg.TLS.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	asked := enginetest.StartRoute(t, cfg, enginetest.Echo())
	if err := try(asked, client, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA); err != nil {
		t.Errorf("the suite that was asked for: %v", err)
	}
	if err := try(asked, client, aead[0]); err == nil {
		t.Error("a suite that was not asked for is served")
	}
}

// A client resumes its session, also where GetConfigForClient has chosen the
// configuration, whether that is right as it is or not.
func TestTLSResume(t *testing.T) {
	eachVersion(t, perch.Config{}, enginetest.Echo(), func(t *testing.T, _ *perch.Server, version *tls.Config) {
		for _, protos := range [][]string{nil, {"http/1.1"}, {"h2"}} {
			cfg, client := enginetest.Secured(t, perch.Config{})
			chosen := &tls.Config{Certificates: cfg.TLS.Certificates, NextProtos: protos}
			cfg.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }}
			srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
			client.MinVersion, client.MaxVersion = version.MinVersion, version.MaxVersion
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 3 {
				c := enginetest.DialTLS(t, srv, client)
				c.Send(wstest.Text("hello")) // the ticket comes before the answer
				c.ExpectText("hello")
				if c.TLS().DidResume != (i > 0) {
					t.Errorf("%v: connection %d resumes: %t", protos, i, c.TLS().DidResume)
				}
				c.CloseHandshake(perch.CloseNormal)
			}
		}
	})
}
