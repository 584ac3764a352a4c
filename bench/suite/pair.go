package suite

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"

	"github.com/perchws/perch/internal/server/certs"
)

// newPair writes a certificate for 127.0.0.1 and its key into a directory: all
// servers with TLS have the same.
func newPair(dir string) (certs.Pair, error) {
	p := certs.Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	c, err := certs.SelfSigned()
	if err != nil {
		return p, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return p, err
	}
	if err := os.WriteFile(p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600); err != nil {
		return p, err
	}
	return p, os.WriteFile(p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

// fill replaces {cert}, {key} and {threshold} in options of a server.
func fill(options []string, p certs.Pair) (replaced []string) {
	r := strings.NewReplacer("{cert}", p.Cert, "{key}", p.Key, "{threshold}", threshold)
	for _, o := range options {
		replaced = append(replaced, r.Replace(o))
	}
	return replaced
}
