package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"

	"github.com/perchws/perch/internal/server/certs"
	"github.com/perchws/perch/internal/server/config"
)

// newTLS returns the TLS configuration for https and wss, nil if perchd serves neither, and the files of the
// certificates, nil if there are none.
func newTLS(c *config.Config, log *slog.Logger) (t *tls.Config, files *certs.Files, err error) {
	if !c.TLS.Enabled() || len(c.TLS.Certs) != len(c.TLS.Keys) { // a rule says what is wrong
		return nil, nil, nil
	}
	t = new(tls.Config)
	if c.TLS.SelfSigned {
		host, _, _ := net.SplitHostPort(c.Engine.Addr)
		var hosts []string
		if host != "" {
			hosts = append(hosts, host)
		}
		cert, err := certs.SelfSigned(hosts...)
		if err != nil {
			return nil, nil, c.Errorf("tls-self-signed", "%w", err)
		}
		t.Certificates = []tls.Certificate{cert}
		log.Warn("the certificate is self-signed: for development, no client has reason to believe it",
			"sha256", certs.Fingerprint(cert), "expires", cert.Leaf.NotAfter)
	} else {
		pairs := make([]certs.Pair, len(c.TLS.Certs))
		for i := range pairs {
			pairs[i] = certs.Pair{Cert: c.TLS.Certs[i], Key: c.TLS.Keys[i]}
		}
		files, err = certs.Load(pairs, log)
		if err != nil {
			return nil, nil, c.Errorf("tls-cert", "%w", err)
		}
		t.GetCertificate = files.GetCertificate
	}
	if c.TLS.ClientCA != "" {
		pem, err := os.ReadFile(c.TLS.ClientCA)
		if err == nil {
			t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
			if !t.ClientCAs.AppendCertsFromPEM(pem) {
				err = errors.New(c.TLS.ClientCA + " has no certificate in PEM form")
			}
		}
		if err != nil {
			return nil, nil, c.Errorf("tls-client-ca", "%w", err)
		}
	}
	return t, files, nil
}
