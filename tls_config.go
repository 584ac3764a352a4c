//go:build linux

package perch

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync"
)

// The protocols of ALPN (RFC 7301) that mean something here.
const (
	protocolHTTP11 = "http/1.1"
	protocolACME   = "acme-tls/1" // RFC 8737: the handshake proves whose the name is, and nothing comes after it
)

// serverTLS is a copy of Config.TLS, or of a TLSListener's configuration, as connections are served with it.
func serverTLS(c *tls.Config) (*tls.Config, error) {
	switch {
	case c.MinVersion != 0 && c.MinVersion < tls.VersionTLS12, c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12:
		return nil, errors.New("TLS: versions below 1.2 are broken (RFC 8996) and not served")
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		return nil, errors.New("TLS: neither Certificates nor GetCertificate nor GetConfigForClient is set")
	}
	c = withServerRules(c)
	if c.ClientCAs != nil {
		c.ClientCAs = c.ClientCAs.Clone()
	}
	if choose := c.GetConfigForClient; choose != nil {
		var chosen chosenConfigs
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := choose(h)
			if c == nil {
				return nil, err
			}
			return chosen.of(c), err
		}
	}
	return c, nil
}

// withServerRules is a copy of c with what no configuration of a server may leave open.
func withServerRules(c *tls.Config) *tls.Config {
	c = withRules(c)
	if c.CipherSuites == nil {
		c.CipherSuites = aeadSuites()
	}
	return c
}

// withRules is a copy of c with what no configuration may leave open: TLS 1.2 at least, and HTTP/1.1. Clone is shallow,
// so the lists are copied too: the caller may change its own.
func withRules(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.Certificates = slices.Clone(c.Certificates)
	c.CipherSuites = slices.Clone(c.CipherSuites)
	c.CurvePreferences = slices.Clone(c.CurvePreferences)
	c.EncryptedClientHelloConfigList = slices.Clone(c.EncryptedClientHelloConfigList)
	c.EncryptedClientHelloKeys = slices.Clone(c.EncryptedClientHelloKeys)
	c.NextProtos = protocols(c.NextProtos)
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// protocols are those of ALPN that may be agreed on: list, which may have that of ACME, with http/1.1, and without
// HTTP/2 and HTTP/3. WebSocket over those (RFC 8441, RFC 9220) is not spoken, and a browser that is offered h2 asks for
// nothing else.
func protocols(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(p string) bool {
		return strings.HasPrefix(p, "h2") || strings.HasPrefix(p, "h3")
	})
	if !slices.Contains(list, protocolHTTP11) {
		list = slices.Insert(list, 0, protocolHTTP11)
	}
	return list
}

// aeadSuites are the cipher suites of TLS 1.2 that are served where a configuration names none: authenticated
// encryption with forward secrecy. The suites with CBC have had padding oracles too often.
var aeadSuites = sync.OnceValue(func() (ids []uint16) {
	for _, s := range tls.CipherSuites() {
		forward, cbc := strings.HasPrefix(s.Name, "TLS_ECDHE_"), strings.Contains(s.Name, "_CBC_")
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && forward && !cbc {
			ids = append(ids, s.ID)
		}
	}
	return ids
})

// chosenConfigs keeps what withServerRules has made of the configurations that GetConfigForClient has returned. Session
// tickets are sealed with keys that a configuration makes once: a copy for each handshake would have keys of its own,
// and no client could resume.
type chosenConfigs struct {
	mu   sync.Mutex
	made map[*tls.Config]*tls.Config
}

// manyConfigs is how many are kept. A program that makes a new configuration for each handshake has no use for more.
const manyConfigs = 256

// of is c as connections are served with it.
func (m *chosenConfigs) of(c *tls.Config) *tls.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	if made := m.made[c]; made != nil {
		return made
	}
	if m.made == nil || len(m.made) == manyConfigs {
		m.made = make(map[*tls.Config]*tls.Config)
	}
	made := withServerRules(c)
	m.made[c] = made
	return made
}

// clientTLS is a copy of c as a connection to host is dialled with it. c may be nil: that is the default.
func clientTLS(c *tls.Config, host string) *tls.Config {
	if c == nil {
		c = new(tls.Config)
	}
	c = withRules(c)
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}
