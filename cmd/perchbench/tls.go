package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/perchws/perch/internal/server/certs"
)

// clientTLS has the TLS options of a load on a wss:// URL.
type clientTLS struct {
	insecure bool
	ca       string
	version  string
}

func (c *clientTLS) flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.insecure, "insecure", false, "wss: do not verify the server's certificate")
	fs.StringVar(&c.ca, "ca", "", "wss: `file` with the certificates to trust instead of the system's, in PEM")
	fs.StringVar(&c.version, "tls-version", "", "wss: `1.2` or 1.3 and no other")
}

// config returns nil if no option is set.
func (c *clientTLS) config() (*tls.Config, error) {
	if *c == (clientTLS{}) {
		return nil, nil
	}
	t := &tls.Config{InsecureSkipVerify: c.insecure}
	switch c.version {
	case "":
	case "1.2":
		t.MinVersion, t.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	case "1.3":
		t.MinVersion, t.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	default:
		return nil, fmt.Errorf("--tls-version %s: want 1.2 or 1.3", c.version)
	}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s has no certificate in PEM form", c.ca)
		}
	}
	return t, nil
}

// serverTLS has the TLS options of serve.
type serverTLS struct {
	cert, key  string
	selfSigned bool
}

func (s *serverTLS) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.cert, "tls-cert", "", "serve wss with the certificate in this `file`")
	fs.StringVar(&s.key, "tls-key", "", "`file` with its key")
	fs.BoolVar(&s.selfSigned, "tls-self-signed", false, "serve wss with a certificate made at the start")
}

// enabled reports whether wss is served.
func (s *serverTLS) enabled() bool { return s.cert != "" || s.selfSigned }

func (s *serverTLS) check() error {
	if (s.cert == "") != (s.key == "") || s.selfSigned && s.cert != "" {
		return errors.New("want --tls-cert and --tls-key, or --tls-self-signed")
	}
	return nil
}

// config returns nil if wss is not served.
func (s *serverTLS) config() (*tls.Config, error) {
	var cert tls.Certificate
	var err error
	switch {
	case !s.enabled():
		return nil, nil
	case s.selfSigned:
		cert, err = certs.SelfSigned()
	default:
		cert, err = tls.LoadX509KeyPair(s.cert, s.key)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, err
}
