package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MinSecret is the least length of an HS256 secret in bytes (RFC 7518 §3.2).
	MinSecret = 32
	// minRSA is RFC 7518 §3.3; maxRSA bounds what one verification costs.
	minRSA, maxRSA = 2048, 8192 // bits

	maxKeyFile = 64 << 10 // bytes
)

// Key verifies tokens of one algorithm, and signs them if its private half is known. It is
// immutable. Printing and logging it shows no secret.
type Key struct {
	id      string
	method  jwt.SigningMethod
	public  any  // what method.Verify takes; the secret itself for HS256
	private any  // what method.Sign takes; nil: verifies only
	exposed bool // read from a file that others can read
}

// ID is the key's kid; empty if it has none.
func (k Key) ID() string { return k.id }

// Algorithm is the one algorithm the key is for, as in a token's alg.
func (k Key) Algorithm() string {
	if k.method == nil {
		return ""
	}
	return k.method.Alg()
}

// CanSign reports whether Sign works.
func (k Key) CanSign() bool { return k.private != nil }

// String shows algorithm and kid.
func (k Key) String() string { return fmt.Sprintf("%s key %q", k.Algorithm(), k.id) }

// GoString keeps %#v from showing a secret.
func (k Key) GoString() string { return "auth.Key{" + k.String() + "}" }

// SecretKey makes an HS256 key. The secret is taken as it is, without decoding; it is copied. It
// must have MinSecret bytes or more, and must not be a PEM file: a public key, which everybody may
// know, would make a fine forger's secret.
func SecretKey(id string, secret []byte) (Key, error) {
	if len(secret) < MinSecret {
		return Key{}, fmt.Errorf("auth: secret of key %q has %d bytes, at least %d are needed", id, len(secret), MinSecret)
	}
	if bytes.HasPrefix(bytes.TrimSpace(secret), []byte("-----BEGIN ")) {
		return Key{}, fmt.Errorf("auth: secret of key %q is a PEM file", id)
	}
	secret = bytes.Clone(secret)
	return Key{id: id, method: jwt.SigningMethodHS256, public: secret, private: secret}, nil
}

// ParseKey makes a key of the first key or certificate in a PEM file: PKIX or PKCS #1 public keys,
// PKCS #8, PKCS #1 or SEC 1 private ones. RSA (2048 to 8192 bits) is for RS256, P-256 for ES256,
// Ed25519 for EdDSA; other keys are refused.
func ParseKey(id string, file []byte) (Key, error) {
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		var parsed any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				parsed = cert.PublicKey
			}
		case "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			parsed, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			err = errors.New("it is encrypted")
		default: // EC PARAMETERS stands before some keys
			continue
		}
		if err != nil {
			return Key{}, fmt.Errorf("auth: key %q: %w", id, err)
		}
		return newKey(id, parsed)
	}
	return Key{}, fmt.Errorf("auth: key %q: no key in PEM form", id)
}

// LoadKey reads a key from a file: in PEM form, or else a secret, less one line end. New warns of
// secrets and private keys that other users can read.
func LoadKey(id, path string) (Key, error) {
	file, mode, err := readFile(path, maxKeyFile)
	if err != nil {
		return Key{}, err
	}
	var k Key
	if bytes.Contains(file, []byte("-----BEGIN ")) {
		k, err = ParseKey(id, file)
	} else {
		k, err = SecretKey(id, bytes.TrimSuffix(bytes.TrimSuffix(file, []byte("\n")), []byte("\r")))
	}
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	k.exposed = k.CanSign() && mode&0o004 != 0
	return k, nil
}

// newKey binds a key of crypto to its algorithm.
func newKey(id string, parsed any) (Key, error) {
	k := Key{id: id, public: parsed}
	switch private := parsed.(type) {
	case *rsa.PrivateKey:
		k.public, k.private = &private.PublicKey, private
	case *ecdsa.PrivateKey:
		k.public, k.private = &private.PublicKey, private
	case ed25519.PrivateKey:
		k.public, k.private = private.Public(), private
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSA || bits > maxRSA {
			return Key{}, fmt.Errorf("auth: key %q: RSA of %d bits, want %d to %d", id, bits, minRSA, maxRSA)
		}
		if public.E < 3 || public.E%2 == 0 {
			return Key{}, fmt.Errorf("auth: key %q: RSA exponent %d", id, public.E)
		}
		k.method = jwt.SigningMethodRS256
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("auth: key %q: curve %s, want P-256", id, public.Params().Name)
		}
		k.method = jwt.SigningMethodES256
	case ed25519.PublicKey:
		k.method = jwt.SigningMethodEdDSA
	default:
		return Key{}, fmt.Errorf("auth: key %q: %T is for no algorithm we know", id, parsed)
	}
	return k, nil
}

// algorithms lists every alg that any Key can have.
func algorithms() []string { return []string{"HS256", "RS256", "ES256", "EdDSA"} }

func known(alg string) bool { return slices.Contains(algorithms(), alg) }
