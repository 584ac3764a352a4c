package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// jwkOf writes the public half of s as RFC 7518 and RFC 8037 say.
func jwkOf(s signer) object {
	o := object{"kid": s.key.ID(), "alg": s.alg, "use": "sig"}
	switch public := s.public.(type) {
	case *rsa.PublicKey:
		return merge(o, object{"kty": "RSA", "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())})
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		return merge(o, object{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])})
	case ed25519.PublicKey:
		return merge(o, object{"kty": "OKP", "crv": "Ed25519", "x": b64(public)})
	}
	panic("no public key")
}

func TestParseKeySet(t *testing.T) {
	rs, es, ed := jwkOf(signers()["RS256"]), jwkOf(signers()["ES256"]), jwkOf(signers()["EdDSA"])
	secret := object{"kty": "oct", "kid": "oct", "k": b64(make([]byte, MinSecret))}
	for _, tt := range []struct {
		name    string
		key     object
		secrets bool
		alg     string // "": left out
	}{
		{"RSA", rs, false, "RS256"},
		{"EC", es, false, "ES256"},
		{"OKP", ed, false, "EdDSA"},
		{"no alg, no use", merge(rs, object{"alg": nil, "use": nil}), false, "RS256"},
		{"key_ops", merge(rs, object{"key_ops": []string{"verify"}}), false, "RS256"},
		{"members we do not know", merge(es, object{"x5c": []string{"x"}, "ext": true}), false, "ES256"},
		{"secret in a file", secret, true, "HS256"},
		{"secret at a URL", secret, false, ""},
		{"short secret", merge(secret, object{"k": b64(make([]byte, MinSecret-1))}), true, ""},
		{"for encryption", merge(rs, object{"use": "enc"}), false, ""},
		{"for signing alone", merge(rs, object{"key_ops": []string{"sign"}}), false, ""},
		{"of another algorithm", merge(rs, object{"alg": "RS512"}), false, ""},
		{"RSA as HS256", merge(rs, object{"alg": "HS256"}), false, ""},
		{"EC as RSA", merge(es, object{"kty": "RSA"}), false, ""},
		{"P-384", merge(es, object{"crv": "P-384"}), false, ""},
		{"off the curve", merge(es, object{"y": es["x"]}), false, ""},
		{"short coordinate", merge(es, object{"x": b64(make([]byte, 31))}), false, ""},
		{"no coordinate", merge(es, object{"y": nil}), false, ""},
		{"short modulus", merge(rs, object{"n": b64(make([]byte, 256))}), false, ""},
		{"1024 bits", merge(rs, object{"n": b64([]byte(strings.Repeat("\xff", 128)))}), false, ""},
		{"huge modulus", merge(rs, object{"n": b64([]byte(strings.Repeat("\xff", 4096)))}), false, ""},
		{"exponent 1", merge(rs, object{"e": "AQ"}), false, ""},
		{"exponent 2", merge(rs, object{"e": "Ag"}), false, ""},
		{"huge exponent", merge(rs, object{"e": "AQAAAAE"}), false, ""},
		{"padded", merge(ed, object{"x": ed["x"].(string) + "="}), false, ""},
		{"Ed448", merge(ed, object{"crv": "Ed448"}), false, ""},
		{"short Ed25519", merge(ed, object{"x": "AAAA"}), false, ""},
		{"kid as number", merge(ed, object{"kid": 1}), false, ""},
		{"no kty", merge(ed, object{"kty": nil}), false, ""},
		{"null", nil, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, skipped, err := parseKeySet(keySet(tt.key, ed), tt.secrets)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(keys) == 2 {
				got = keys[0].Algorithm()
				if kid, _ := tt.key["kid"].(string); keys[0].ID() != kid || keys[0].CanSign() != (got == "HS256") {
					t.Errorf("key %v", keys[0])
				}
			}
			if got != tt.alg || len(keys)+len(skipped) != 2 {
				t.Errorf("%v, left out %v; want algorithm %q", keys, skipped, tt.alg)
			}
		})
	}
	// RFC 8037 appendix A.2 and A.4: a key and a signature that we did not make.
	keys, _, err := parseKeySet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`), false)
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	sig := decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
	if err := keys[0].method.Verify("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", sig, keys[0].public); err != nil {
		t.Errorf("RFC 8037: %v", err)
	}
}

func FuzzParseKeySet(f *testing.F) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		f.Add(keySet(jwkOf(signers()[alg])))
	}
	f.Add([]byte(`{"keys":[null,{},{"kty":"oct","k":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _, err := parseKeySet(b, true)
		if err != nil && keys != nil {
			t.Error("keys and an error")
		}
		for _, k := range keys {
			if !known(k.Algorithm()) || !json.Valid(b) {
				t.Errorf("key %v", k)
			}
			_ = k.method.Verify("a.b", make([]byte, 64), k.public) // must not panic
		}
	})
}
