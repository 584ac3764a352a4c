package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// noon is the time of every Verifier in these tests.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// atNoon is the real clock, except that its time of day is always noon.
type atNoon struct{ *clock.System }

func (atNoon) Wall() time.Time { return noon }

// signer is a real key. It signs without the package under test and the library that this uses.
type signer struct {
	alg    string
	key    Key           // in the form of the package: only the public half, except for HS256
	public any           // of package crypto
	pair   crypto.Signer // nil for HS256
	sign   func(signed string) []byte
}

// signers are made once: making RSA keys is slow.
var signers = sync.OnceValue(func() map[string]signer {
	all := make(map[string]signer)
	must := func(k Key, err error) Key {
		if err != nil {
			panic(err)
		}
		return k
	}
	// These two are the same in every process: the fuzzer's workers must accept the signatures of the seeds.
	secret := sha256.New().Sum([]byte("a secret of tests, long enough"))
	all["HS256"] = signer{alg: "HS256", key: must(SecretKey("hs", secret)), sign: func(s string) []byte { return hs256(secret, s) }}

	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	all["RS256"] = signer{"RS256", must(ParseKey("rs", publicPEM(r.Public()))), r.Public(), r, func(s string) []byte {
		sum := sha256.Sum256([]byte(s))
		sig, _ := rsa.SignPKCS1v15(nil, r, crypto.SHA256, sum[:])
		return sig
	}}
	e, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	all["ES256"] = signer{"ES256", must(ParseKey("es", publicPEM(e.Public()))), e.Public(), e, func(s string) []byte {
		sum := sha256.Sum256([]byte(s))
		a, b, _ := ecdsa.Sign(rand.Reader, e, sum[:])
		return append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	}}
	d := ed25519.NewKeyFromSeed(secret[:ed25519.SeedSize])
	public := d.Public().(ed25519.PublicKey)
	all["EdDSA"] = signer{"EdDSA", must(ParseKey("ed", publicPEM(public))), public, d, func(s string) []byte { return ed25519.Sign(d, []byte(s)) }}
	return all
})

func hs256(secret []byte, s string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func publicPEM(public any) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// object is a JSON object; in merge, nil removes a member.
type object map[string]any

func merge(a, b object) object {
	m := object{}
	for _, o := range []object{a, b} {
		for k, v := range o {
			m[k] = v
			if v == nil {
				delete(m, k)
			}
		}
	}
	return m
}

func compact(header, payload string, sign func(string) []byte) string {
	s := b64([]byte(header)) + "." + b64([]byte(payload))
	return s + "." + b64(sign(s))
}

// mint signs a token that is good except for the changes in header and claims.
func (s signer) mint(header, claims object) string {
	h, _ := json.Marshal(merge(object{"alg": s.alg, "kid": s.key.ID(), "typ": "JWT"}, header))
	c, _ := json.Marshal(merge(object{"sub": "alice", "exp": noon.Add(time.Hour).Unix(), "aud": "chat", "iss": "us"}, claims))
	return compact(string(h), string(c), s.sign)
}

// verifier has all four keys, demands audience and issuer, and its time is noon.
func verifier(t testing.TB, change func(*Config)) *Verifier {
	t.Helper()
	c := Config{Audience: []string{"chat", "rooms"}, Issuer: "us", Clock: atNoon{clock.Real()}}
	for _, alg := range algorithms() {
		c.Keys = append(c.Keys, signers()[alg].key)
	}
	if change != nil {
		change(&c)
	}
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// wantError demands an *Error with want's code; nil want, no error.
func wantError(t *testing.T, err error, want *Error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatalf("error %v, want none", err)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, want) {
		t.Fatalf("error %v, want code %s", err, want.Code)
	}
}
