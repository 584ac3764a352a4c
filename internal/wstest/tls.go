package wstest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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

// PEM is the certificate of the authority.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
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
	Bytewise  bool   // each byte is sent by itself
	HoldAfter int    // as many writes, all are held; 0: none
	First     []byte // sent before all, with what is written first

	writes  int
	held    []byte
	holding bool
	last    []byte // of what was received
}

// SecureThrough is Secure with a Cutter, which lets everything through at first.
func (c *Conn) SecureThrough(config *tls.Config) *Cutter {
	c.t.Helper()
	return c.SecureBy(&Cutter{}, config)
}

// SecureBy is Secure with a Cutter that the test has set up.
func (c *Conn) SecureBy(cut *Cutter, config *tls.Config) *Cutter {
	c.t.Helper()
	cut.Conn = c.nc
	s := tls.Client(cut, config)
	c.nc.SetDeadline(time.Now().Add(c.Timeout))
	c.must("TLS handshake", s.Handshake())
	c.stream = s
	c.r = bufio.NewReaderSize(s, 32<<10)
	return cut
}

// Write implements net.Conn.
func (k *Cutter) Write(p []byte) (int, error) {
	size := len(p)
	if k.writes++; k.writes == 1 && len(k.First) > 0 {
		p = append(k.First[:len(k.First):len(k.First)], p...)
	}
	switch {
	case k.holding || k.HoldAfter > 0 && k.writes > k.HoldAfter:
		k.held = append(k.held, p...)
		return size, nil
	case k.Bytewise:
		for i := range p {
			if _, err := k.Conn.Write(p[i : i+1]); err != nil {
				return 0, err
			}
		}
		return size, nil
	}
	if _, err := k.Conn.Write(p); err != nil {
		return 0, err
	}
	return size, nil
}

// NotifyClose sends close_notify and leaves TCP open.
func (c *Conn) NotifyClose() {
	c.t.Helper()
	c.must("close_notify", c.stream.(*tls.Conn).CloseWrite())
}

// Read implements net.Conn.
func (k *Cutter) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	if k.last = append(k.last, p[:n]...); len(k.last) > 64 {
		k.last = append([]byte(nil), k.last[len(k.last)-64:]...)
	}
	return n, err
}

// Notified reports that the last record received was an alert, or looked like
// one: close_notify, if the Conn has read EOF. crypto/tls would not tell it from
// an end without.
func (k *Cutter) Notified() bool {
	for _, header := range []string{
		"\x17\x03\x03\x00\x13",                         // TLS 1.3
		"\x15\x03\x03\x00\x1a", "\x15\x03\x03\x00\x12", // 1.2 with GCM, with ChaCha20
	} {
		if i := len(k.last) - recordHeader - int(header[4]); i >= 0 && string(k.last[i:i+recordHeader]) == header {
			return true
		}
	}
	return false
}

const recordHeader = 5

// Hold keeps what is written from now on.
func (k *Cutter) Hold() { k.holding = true }

// Held is what is kept so far.
func (k *Cutter) Held() []byte { return k.held }

// Release returns what was kept, for the test to send on TCP, and lets everything
// through again.
func (k *Cutter) Release() []byte {
	b := k.held
	k.held, k.holding, k.HoldAfter = nil, false, 0
	return b
}
