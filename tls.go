//go:build linux

package perch

import (
	"crypto/tls"
	"errors"
	"slices"
)

// http11 is all that ALPN may choose here: WebSocket over HTTP/2 (RFC 8441) is
// not spoken, and a browser that was offered h2 would not ask for anything else.
var http11 = []string{"http/1.1"}

// serverTLS is c as connections are served with it.
func serverTLS(c *tls.Config) (*tls.Config, error) {
	switch {
	case c.MinVersion != 0 && c.MinVersion < tls.VersionTLS12, c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12:
		return nil, errors.New("TLS: versions below 1.2 are broken (RFC 8996) and not served")
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		return nil, errors.New("TLS: neither Certificates nor GetCertificate nor GetConfigForClient is set")
	}
	c = ours(c)
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(h)
			if chosen != nil && (!slices.Equal(chosen.NextProtos, http11) || chosen.MinVersion < tls.VersionTLS12) {
				chosen = ours(chosen)
			}
			return chosen, err
		}
	}
	return c, nil
}

// ours is a copy of c with what we do not leave to others.
func ours(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = http11
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// clientTLS is c as a connection to host is dialled with it; nil is the default.
// A connection keeps it: what is right already is not copied.
func clientTLS(c *tls.Config, host string) *tls.Config {
	if c == nil {
		c = new(tls.Config)
	}
	if c.ServerName != "" && c.MinVersion >= tls.VersionTLS12 && slices.Equal(c.NextProtos, http11) {
		return c
	}
	c = ours(c)
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}
