package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

const (
	maxKeySet = 256 << 10 // bytes of a JWK set
	maxKeys   = 100       // in a set
)

// jwk is a JSON Web Key (RFC 7517 §4; members of RFC 7518 §6 and RFC 8037 §2). Of the private members k is read, and
// d is only looked for.
type jwk struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	K      string   `json:"k"`
	D      string   `json:"d"`
}

// parseKeySet returns the keys of a JWK set (RFC 7517 §5) that we can use, and the reasons why others are left out:
// they are for encryption, of another algorithm, or broken (RFC 7517 §5 says to ignore those). Secrets are used only
// if secrets is set: a key at a URL is not secret. A set without keys is valid: the issuer has withdrawn them. An
// error means that b is no set.
func parseKeySet(b []byte, secrets bool) (keys []Key, skipped []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, nil, errors.New("auth: key set is not JSON of the right shape")
	}
	if set.Keys == nil {
		return nil, nil, errors.New(`auth: key set without "keys"`)
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("auth: key set of %d keys, %d are the limit", len(set.Keys), maxKeys)
	}
	for i, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil {
			skipped = append(skipped, fmt.Errorf("auth: key %d of the set is malformed", i))
			continue
		}
		k, err := j.key(secrets)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("auth: key %q: %w", brief(j.Kid), err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, skipped, nil
}

// key makes a Key of j. The error does not name it.
func (j *jwk) key(secrets bool) (Key, error) {
	switch {
	case j.D != "":
		return Key{}, errors.New("its private half is there: want the public one alone, without d, p, q, dp, dq and qi")
	case j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return Key{}, errors.New("not for verifying")
	}
	k, err := j.parse(secrets)
	if err != nil {
		return Key{}, err
	}
	if j.Alg != "" && j.Alg != k.Algorithm() {
		return Key{}, fmt.Errorf("its alg is %q, and a key of its kind is for %s", brief(j.Alg), k.Algorithm())
	}
	return k, nil
}

func (j *jwk) parse(secrets bool) (Key, error) {
	switch {
	case j.Kty == "RSA":
		n, e := number(j.N), number(j.E)
		if n == nil || e == nil || e.BitLen() > 31 {
			return Key{}, errors.New("bad RSA numbers")
		}
		return newKey(j.Kid, &rsa.PublicKey{N: n, E: int(e.Int64())})
	case j.Kty == "EC" && j.Crv == "P-256":
		x, y := decode(j.X), decode(j.Y)
		if len(x) != 32 || len(y) != 32 { // RFC 7518 §6.2.1.2: full length
			return Key{}, errors.New("bad P-256 point")
		}
		point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return Key{}, errors.New("not a point of P-256")
		}
		return newKey(j.Kid, point)
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x := decode(j.X)
		if len(x) != ed25519.PublicKeySize {
			return Key{}, errors.New("bad Ed25519 key")
		}
		return newKey(j.Kid, ed25519.PublicKey(x))
	case j.Kty == "oct" && secrets:
		return secretKey(j.Kid, decode(j.K))
	case j.Kty == "oct":
		return Key{}, errors.New("a secret in a public key set")
	}
	return Key{}, fmt.Errorf("of a kind that we do not use: kty %q, crv %q", brief(j.Kty), brief(j.Crv))
}

// decode returns nil if s is not base64url without padding (RFC 7515 §2).
func decode(s string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// number reads a Base64urlUInt; nil if it is malformed, 0, or longer than any key that we accept.
func number(s string) *big.Int {
	b := decode(s)
	if len(b) == 0 || len(b) > maxRSA/8+1 {
		return nil
	}
	n := new(big.Int).SetBytes(b)
	if n.Sign() == 0 {
		return nil
	}
	return n
}
