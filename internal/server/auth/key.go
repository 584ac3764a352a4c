package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MinSecret is the least length of an HS256 secret in bytes (RFC 7518 §3.2).
	MinSecret = 32
	// minRSA is RFC 7518 §3.3; maxRSA bounds the cost of a verification.
	minRSA, maxRSA = 2048, 8192 // bits

	maxKeyFile = 64 << 10 // bytes
)

// Key verifies tokens of one algorithm, and signs them if its private half is known. It is
// immutable. Printing and logging it shows no secret.
type Key struct {
	id      string
	method  jwt.SigningMethod
	public  any    // for method.Verify; for HS256 the secret itself
	private any    // for method.Sign; nil: it only verifies
	file    string // the file that it was read from, if any
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

// Private reports whether the key has a private half, which a verifier does not need. A secret has none: it is the
// whole key.
func (k Key) Private() bool { return k.private != nil && k.method != jwt.SigningMethodHS256 }

// CanSign reports whether Sign works.
func (k Key) CanSign() bool { return k.private != nil }

// String shows algorithm and kid.
func (k Key) String() string { return fmt.Sprintf("%s key %q", k.Algorithm(), k.id) }

// LogValue is a group of kid, algorithm and file, by which an operator knows the key.
func (k Key) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kid", brief(k.id)), slog.String("algorithm", k.Algorithm())}
	if k.method == jwt.SigningMethodHS256 {
		attrs = append(attrs, slog.Int("secret_bytes", len(k.public.([]byte))))
	}
	if k.file != "" {
		attrs = append(attrs, slog.String("file", k.file))
	}
	return slog.GroupValue(attrs...)
}

// brief cuts text of an issuer that may be long.
func brief(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "…"
}

// GoString keeps %#v from showing a secret.
func (k Key) GoString() string { return "auth.Key{" + k.String() + "}" }

// SecretKey makes an HS256 key. The secret is used as it is, without decoding; it is copied. It must have at least
// MinSecret bytes, and must not be a key or a document: everybody may know a public key, and could forge tokens with
// it.
func SecretKey(id string, secret []byte) (Key, error) {
	k, err := secretKey(id, secret)
	if err != nil {
		return Key{}, fmt.Errorf("auth: key %q: %w", id, err)
	}
	return k, nil
}

// secretKey is SecretKey; its error does not name the key.
func secretKey(id string, secret []byte) (Key, error) {
	if what := structured(secret); what != "" {
		return Key{}, fmt.Errorf("the secret is %s: want bytes without structure", what)
	}
	n := len(secret)
	if isText(secret) {
		n = len(bytes.TrimSpace(secret))
	}
	if n < MinSecret {
		return Key{}, fmt.Errorf("the secret has %d bytes, at least %d are needed (RFC 7518 section 3.2)", n, MinSecret)
	}
	secret = bytes.Clone(secret)
	return Key{id: id, method: jwt.SigningMethodHS256, public: secret, private: secret}, nil
}

// newKey binds a key of crypto to its algorithm. The error does not name the key.
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
			return Key{}, fmt.Errorf("RSA of %d bits, want %d to %d", bits, minRSA, maxRSA)
		}
		if public.E < 3 || public.E%2 == 0 {
			return Key{}, fmt.Errorf("RSA exponent %d", public.E)
		}
		k.method = jwt.SigningMethodRS256
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("curve %s, want P-256", public.Params().Name)
		}
		k.method = jwt.SigningMethodES256
	case ed25519.PublicKey:
		k.method = jwt.SigningMethodEdDSA
	default:
		return Key{}, fmt.Errorf("%T is for no algorithm that we know: want RSA, P-256 or Ed25519", parsed)
	}
	return k, nil
}

// algorithms lists every alg that any Key can have.
func algorithms() []string { return []string{"HS256", "RS256", "ES256", "EdDSA"} }

func known(alg string) bool { return slices.Contains(algorithms(), alg) }
