package suite

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"

	"github.com/perchws/perch/internal/server/certs"
)

// keyPair are the files of a certificate for 127.0.0.1 and its key, in PEM: all
// servers with TLS have the same.
type keyPair struct {
	cert, key string
}

// newKeyPair makes one in a directory.
func newKeyPair(dir string) (keyPair, error) {
	p := keyPair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	c, err := certs.SelfSigned()
	if err != nil {
		return p, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return p, err
	}
	if err := os.WriteFile(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600); err != nil {
		return p, err
	}
	return p, os.WriteFile(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

// in replaces {cert}, {key} and {threshold} in options of a server.
func (p keyPair) in(options []string) (replaced []string) {
	r := strings.NewReplacer("{cert}", p.cert, "{key}", p.key, "{threshold}", threshold)
	for _, o := range options {
		replaced = append(replaced, r.Replace(o))
	}
	return replaced
}
