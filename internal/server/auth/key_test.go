package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // so that the umask does not matter
		t.Fatal(err)
	}
	return path
}

func TestParseKey(t *testing.T) {
	block := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	all := signers()
	r, e := all["RS256"].pair.(*rsa.PrivateKey), all["ES256"].pair.(*ecdsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(e)
	ec := block("EC PRIVATE KEY", sec1, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}}
	cert, certErr := x509.CreateCertificate(rand.Reader, template, template, e.Public(), e)
	type want struct {
		alg  string
		sign bool
	}
	for name, tt := range map[string]struct {
		file []byte
		want
	}{
		"RSA, PKCS #1":                    {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), want{"RS256", true}},
		"RSA, PKCS #1 public":             {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey), nil), want{"RS256", false}},
		"EC, SEC 1":                       {ec, want{"ES256", true}},
		"EC behind parameters and a text": {append([]byte("from openssl\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), ec...), want{"ES256", true}},
		"certificate":                     {block("CERTIFICATE", cert, certErr), want{"ES256", false}},
	} {
		k, err := ParseKey("k", tt.file)
		if got := (want{k.Algorithm(), k.CanSign()}); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		der, err := x509.MarshalPKCS8PrivateKey(all[alg].pair)
		k, parseErr := ParseKey("k", block("PRIVATE KEY", der, err))
		if parseErr != nil || k.Algorithm() != alg || !k.CanSign() {
			t.Errorf("PKCS #8 %s: %v, %v", alg, k, parseErr)
		}
		if k, err := ParseKey("k", publicPEM(all[alg].public)); err != nil || k.Algorithm() != alg || k.CanSign() {
			t.Errorf("PKIX %s: %v, %v", alg, k, err)
		}
	}

	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2046, 1), E: 65537}
	even := &rsa.PublicKey{N: r.N, E: 65536}
	for name, file := range map[string][]byte{
		"nothing":     nil,
		"no PEM":      []byte("hello"),
		"P-384":       publicPEM(p384.Public()),
		"2047 bits":   publicPEM(weak),
		"exponent":    publicPEM(even),
		"encrypted":   block("ENCRYPTED PRIVATE KEY", []byte{1}, nil),
		"broken":      block("PUBLIC KEY", []byte{1}, nil),
		"other block": block("SSH KEY", []byte{1}, nil),
	} {
		if k, err := ParseKey("k", file); err == nil {
			t.Errorf("%s: taken for %v", name, k)
		}
	}
}

func TestLoadKey(t *testing.T) {
	secret := strings.Repeat("s", MinSecret)
	k, err := LoadKey("k", write(t, []byte(secret+"\n"), 0o600))
	if err != nil || k.Algorithm() != "HS256" || string(k.public.([]byte)) != secret {
		t.Errorf("secret: %v, %v", k, err)
	}
	if k, err := LoadKey("k", write(t, publicPEM(signers()["EdDSA"].public), 0o644)); err != nil || k.Algorithm() != "EdDSA" {
		t.Errorf("public key: %v, %v", k, err)
	}
	for name, path := range map[string]string{
		"short":       write(t, []byte(secret[1:]+"\n"), 0o600),
		"long":        write(t, make([]byte, maxKeyFile+1), 0o600),
		"a directory": t.TempDir(),
		"missing":     filepath.Join(t.TempDir(), "none"),
	} {
		if _, err := LoadKey("k", path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestKeyShowsNoSecret(t *testing.T) {
	secret := strings.Repeat("Sesame", 6)
	k, err := SecretKey("k", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	encoded, _ := json.Marshal([]any{k})
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "k", k, "p", &k)
	shown := fmt.Sprintf("%v %+v %#v %s %v %v %s %s", k, k, k, k, []Key{k}, &k, encoded, &log)
	if strings.Contains(shown, "Sesame") || strings.Contains(shown, "83 101 115") || strings.Contains(shown, "U2VzYW1l") {
		t.Errorf("the secret shows: %s", shown)
	}
}

// TestSign checks the tokens of Sign with the verifier, and that keys without a private half do not sign.
func TestSign(t *testing.T) {
	for alg, s := range signers() {
		k := s.key
		if s.pair != nil {
			if _, err := k.Sign(Claims{}); err == nil {
				t.Errorf("%s: signed without a private half", alg)
			}
			var err error
			if k, err = newKey(k.ID(), s.pair); err != nil {
				t.Fatal(err)
			}
		}
		token, err := k.Sign(Claims{Subject: "bob", Issuer: "us", ID: "7", Audience: []string{"chat"}, Rooms: []string{},
			IssuedAt: noon, NotBefore: noon, Expires: noon.Add(1)})
		if err != nil {
			t.Fatal(err)
		}
		id, err := verifier(t, nil).Verify(token)
		if err != nil || id.Subject != "bob" || id.TokenID != "7" || id.Rooms == nil || !id.Expires.Equal(noon.Add(DefaultLeeway)) {
			t.Errorf("%s: %+v, %v", alg, id, err)
		}
	}
}

// TestKeyrings: the keys that a kid stands for.
func TestKeyrings(t *testing.T) {
	secret := func(id, s string) signer {
		k, err := SecretKey(id, []byte(strings.Repeat(s, MinSecret)))
		if err != nil {
			t.Fatal(err)
		}
		return signer{alg: "HS256", key: k, sign: func(text string) []byte { return hs256([]byte(strings.Repeat(s, MinSecret)), text) }}
	}
	a, b, old, nameless := secret("a", "a"), secret("b", "b"), secret("a", "o"), secret("", "n")
	ring := func(all ...signer) (keys []Key) {
		for _, s := range all {
			keys = append(keys, s.key)
		}
		return keys
	}
	es := signers()["ES256"]
	many := ring(a, b, old, nameless, secret("c", "c"))
	for _, tt := range []struct {
		name string
		keys []Key
		by   signer
		kid  any // nil: none
		want *Error
	}{
		{"by name", ring(a, b), b, "b", nil},
		{"by another's name", ring(a, b), b, "a", ErrBadSignature},
		{"two of one name", ring(a, old), old, "a", nil},
		{"no name, few keys", ring(a, b), b, nil, nil},
		{"no name, many keys", many, a, nil, ErrUnknownKey},
		{"no name, many keys of other algorithms", append(ring(es), many...), es, nil, nil},
		{"a name nobody has, a key without", ring(a, nameless), nameless, "x", nil},
		{"a name nobody has, signed by a named key", ring(a, nameless), a, "x", ErrBadSignature},
		{"a known name does not stand for the key without", ring(a, nameless), nameless, "a", ErrBadSignature},
		{"of another algorithm", ring(es), a, nil, ErrWrongAlgorithm},
		{"named, of another algorithm", ring(es, nameless), nameless, "es", ErrWrongAlgorithm},
	} {
		v := verifier(t, func(c *Config) { c.Keys = tt.keys })
		_, err := v.Verify(tt.by.mint(object{"kid": tt.kid}, nil))
		t.Run(tt.name, func(t *testing.T) { wantError(t, err, tt.want) })
	}
}
