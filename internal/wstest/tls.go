package wstest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// An Authority signs certificates for tests.
type Authority struct {
	// Pool has the authority alone: what its peers trust.
	Pool *x509.CertPool

	t      testing.TB
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// NewAuthority makes one.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, Pool: x509.NewCertPool()}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Perch test authority"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, key := a.sign(template, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("wstest: certificate: %v", err)
	}
	a.cert, a.key = cert, key
	a.Pool.AddCert(cert)
	return a
}

// Issue makes a certificate with a P-256 key for servers of these names or
// addresses; its common name is the first. It is good for clients as well.
func (a *Authority) Issue(names ...string) tls.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, key := a.sign(template, a.cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sign makes a certificate, its own parent if that is nil.
func (a *Authority) sign(template, parent *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatalf("wstest: key: %v", err)
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer); err != nil {
		a.t.Fatalf("wstest: certificate: %v", err)
	}
	return der, key
}

// Secure begins TLS on c, as a client, and waits for the handshake.
func (c *Conn) Secure(config *tls.Config) {
	c.t.Helper()
	c.must("TLS handshake", c.TrySecure(config))
}

// TrySecure is Secure for tests that expect it to fail.
func (c *Conn) TrySecure(config *tls.Config) error {
	s := tls.Client(c.nc, config)
	c.nc.SetDeadline(time.Now().Add(c.Timeout))
	if err := s.Handshake(); err != nil {
		return err
	}
	c.stream = s
	c.r = bufio.NewReaderSize(s, 32<<10)
	return nil
}

// TLS is the state of the connection's TLS, which Secure has begun.
func (c *Conn) TLS() tls.ConnectionState { return c.stream.(*tls.Conn).ConnectionState() }

// DialTLS is Dial over TLS.
func DialTLS(t testing.TB, addr, target string, config *tls.Config, headers ...string) *Conn {
	t.Helper()
	c := Connect(t, addr)
	c.Secure(config)
	c.Write(Request(addr, target, headers...))
	c.ExpectUpgraded()
	return c
}

// A Cutter is between a Conn's TLS and its socket: it can hold back records, so
// that a test sends their bytes in pieces of its own.
type Cutter struct {
	net.Conn
	held    []byte
	holding bool
}

// SecureThrough is Secure with a Cutter, which lets everything through at first.
func (c *Conn) SecureThrough(config *tls.Config) *Cutter {
	c.t.Helper()
	cut := &Cutter{Conn: c.nc}
	s := tls.Client(cut, config)
	c.nc.SetDeadline(time.Now().Add(c.Timeout))
	c.must("TLS handshake", s.Handshake())
	c.stream = s
	c.r = bufio.NewReaderSize(s, 32<<10)
	return cut
}

// Write implements net.Conn.
func (k *Cutter) Write(p []byte) (int, error) {
	if !k.holding {
		return k.Conn.Write(p)
	}
	k.held = append(k.held, p...)
	return len(p), nil
}

// Hold keeps what is written from now on.
func (k *Cutter) Hold() { k.holding = true }

// Held is what is kept so far.
func (k *Cutter) Held() []byte { return k.held }

// Release returns what was kept, for the test to send on TCP, and lets everything
// through again.
func (k *Cutter) Release() []byte {
	b := k.held
	k.held, k.holding = nil, false
	return b
}
