package auth

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	v := verifier(t, nil)
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	rooms := func(n int) []string { return strings.Split(strings.Repeat("r,", n-1)+"r", ",") }
	for _, tt := range []struct {
		name           string
		header, claims object
		want           *Error
	}{
		{"good", nil, nil, nil},
		{"no kid", object{"kid": nil}, nil, nil},
		{"empty kid", object{"kid": ""}, nil, nil},
		{"no typ", object{"typ": nil}, nil, nil},
		{"one of several audiences", nil, object{"aud": []string{"x", "rooms"}}, nil},
		{"unknown claims", nil, object{"x": object{"y": 1}}, nil},
		{"expired within the leeway", nil, object{"exp": at(-29 * time.Second)}, nil},
		{"not yet valid within the leeway", nil, object{"nbf": at(30 * time.Second)}, nil},
		{"fractions of a second", nil, object{"exp": float64(at(time.Hour)) + 0.5}, nil},
		{"exp at the end of 9999", nil, object{"exp": maxTime}, nil},
		{"exp in the last second", nil, object{"exp": json.RawMessage("253402300799.999")}, nil},
		{"exp with an exponent", nil, object{"exp": json.RawMessage("2.5e11")}, nil},
		{"nbf before 1970", nil, object{"nbf": -1e300}, nil},
		{"nbf with a fraction", nil, object{"nbf": float64(at(0)) - 0.25}, nil},
		{"iat is not looked at", nil, object{"iat": "yesterday"}, nil},
		{"as long as can be", nil, object{"sub": strings.Repeat("s", MaxSubject), "jti": strings.Repeat("j", MaxSubject), "rooms": rooms(MaxRooms)}, nil},
		{"not Latin", nil, object{"sub": "Zoë 日本"}, nil},
		{"with joiners and emoji", nil, object{"sub": "می\u200cخواهم", "rooms": []string{"ශ්\u200dරී", "🏳️\u200d🌈"}}, nil},

		{"expired", nil, object{"exp": at(-30 * time.Second)}, ErrExpired},
		{"expired at the epoch", nil, object{"exp": 0}, ErrExpired},
		{"expired and of another audience", nil, object{"exp": at(-time.Hour), "aud": "x"}, ErrExpired},
		{"not yet valid", nil, object{"nbf": at(31 * time.Second)}, ErrNotYetValid},
		{"other audience", nil, object{"aud": "x"}, ErrWrongAudience},
		{"audience in other case", nil, object{"aud": "Chat"}, ErrWrongAudience},
		{"no audience", nil, object{"aud": nil}, ErrWrongAudience},
		{"empty audiences", nil, object{"aud": []string{}}, ErrWrongAudience},
		{"other issuer", nil, object{"iss": "them"}, ErrWrongIssuer},
		{"no issuer", nil, object{"iss": nil}, ErrWrongIssuer},

		{"no exp", nil, object{"exp": nil}, ErrMalformed},
		{"exp as text", nil, object{"exp": fmt.Sprint(at(time.Hour))}, ErrMalformed},
		{"exp beyond time", nil, object{"exp": 1e300}, ErrMalformed},
		{"exp in milliseconds", nil, object{"exp": at(time.Hour) * 1000}, ErrMalformed},
		{"exp in the year 10000", nil, object{"exp": maxTime + 1}, ErrMalformed},
		{"exp as a list", nil, object{"exp": []int64{at(time.Hour)}}, ErrMalformed},
		{"exp as true", nil, object{"exp": true}, ErrMalformed},
		{"exp of null", nil, object{"exp": json.RawMessage("null")}, ErrMalformed},
		{"exp with digits that no number has", nil, object{"exp": json.RawMessage("1e400")}, ErrMalformed},
		{"nbf as text", nil, object{"nbf": "0"}, ErrMalformed},
		{"nbf in milliseconds", nil, object{"nbf": at(-time.Hour) * 1000}, ErrMalformed},
		{"exp before time", nil, object{"exp": -1e300}, ErrExpired},
		{"exp before 1970", nil, object{"exp": -1}, ErrExpired},
		{"exp a fraction before 1970", nil, object{"exp": -0.5}, ErrExpired},
		{"nbf as object", nil, object{"nbf": object{}}, ErrMalformed},
		{"no sub", nil, object{"sub": nil}, ErrMalformed},
		{"SUB is not sub", nil, object{"sub": nil, "SUB": "alice"}, ErrMalformed},
		{"empty sub", nil, object{"sub": ""}, ErrMalformed},
		{"sub as number", nil, object{"sub": 7}, ErrMalformed},
		{"long sub", nil, object{"sub": strings.Repeat("s", MaxSubject+1)}, ErrMalformed},
		{"sub with a line end", nil, object{"sub": "alice\n"}, ErrMalformed},
		{"sub with an escape", nil, object{"sub": "a\x1b[2Jb"}, ErrMalformed},
		{"sub with a zero width space", nil, object{"sub": "ali\u200bce"}, ErrMalformed},
		{"sub with a joiner out of place", nil, object{"sub": "ali\u200dce"}, ErrMalformed},
		{"sub with text direction", nil, object{"sub": "a\u202eb"}, ErrMalformed},
		{"sub with a space at its end", nil, object{"sub": "alice "}, ErrMalformed},
		{"sub with a lone surrogate", nil, object{"sub": "a\ufffd"}, ErrMalformed},
		{"jti with a line end", nil, object{"jti": "a\nb"}, ErrMalformed},
		{"rooms as text", nil, object{"rooms": "general"}, ErrMalformed},
		{"rooms of numbers", nil, object{"rooms": []int{1}}, ErrMalformed},
		{"an empty room", nil, object{"rooms": []string{""}}, ErrMalformed},
		{"a long room", nil, object{"rooms": []string{strings.Repeat("r", MaxRoom+1)}}, ErrMalformed},
		{"many rooms", nil, object{"rooms": rooms(MaxRooms + 1)}, ErrMalformed},
		{"too long", nil, object{"x": strings.Repeat("x", MaxToken)}, ErrMalformed},
		{"critical extension", object{"crit": []string{"b64"}, "b64": false}, nil, ErrMalformed},
		{"kid as number", object{"kid": 7}, nil, ErrMalformed},

		{"unknown kid", object{"kid": "nobody"}, nil, ErrUnknownKey},
		{"kid in other case", object{"kid": "HS"}, nil, ErrUnknownKey},
		{"no alg", object{"alg": nil}, nil, ErrMalformed},
		{"alg as number", object{"alg": 7}, nil, ErrMalformed},
		{"alg none", object{"alg": "none"}, nil, ErrWrongAlgorithm},
		{"alg None", object{"alg": "None"}, nil, ErrWrongAlgorithm},
		{"alg empty", object{"alg": ""}, nil, ErrWrongAlgorithm},
		{"alg HS512", object{"alg": "HS512"}, nil, ErrWrongAlgorithm},
		{"alg PS256", object{"alg": "PS256"}, nil, ErrWrongAlgorithm},
		{"alg ES384", object{"alg": "ES384"}, nil, ErrWrongAlgorithm},
	} {
		for _, alg := range algorithms() {
			t.Run(alg+"/"+tt.name, func(t *testing.T) {
				token := signers()[alg].mint(tt.header, tt.claims)
				_, err := v.Verify(token)
				wantError(t, err, tt.want)
				noToken(t, err, token)
			})
		}
	}
}

// noToken fails if the error shows any part of the token.
func noToken(t *testing.T, err error, token string) {
	t.Helper()
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, slog.AnyValue(err).Resolve())
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(text, part) {
			t.Errorf("the error shows the token: %s", text)
		}
	}
}

func TestVerifyBytes(t *testing.T) {
	v := verifier(t, nil)
	s := signers()["HS256"]
	good := s.mint(nil, nil)
	head, payload, sig := cut(good)
	raw := func(header, claims string) string { return compact(header, claims, s.sign) }
	const header = `{"alg":"HS256","kid":"hs"}`
	exp := fmt.Sprint(noon.Unix() + 60)
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", sig[len(sig)-1])
	other := sig[:len(sig)-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1:last^1+1]
	for _, tt := range []struct {
		name, token string
		want        *Error
	}{
		{"as it is", good, nil},
		{"nothing", "", ErrMissing},
		{"a word", "token", ErrMalformed},
		{"dots", "..", ErrMalformed},
		{"two parts", head + "." + payload, ErrMalformed},
		{"four parts", good + ".", ErrMalformed},
		{"no signature", head + "." + payload + ".", ErrBadSignature},
		{"half a signature", good[:len(good)-23], ErrBadSignature},
		{"signature of another", head + "." + b64([]byte(`{"sub":"bob"}`)) + "." + sig, ErrBadSignature},
		{"other spelling of the signature", head + "." + payload + "." + other, ErrMalformed},
		{"padding", good + "=", ErrMalformed},
		{"line end", good + "\n", ErrMalformed},
		{"line end inside", head + ".\n" + payload + "." + sig, ErrMalformed},
		{"space before", " " + good, ErrMalformed},
		{"header is null", raw("null", "{}"), ErrMalformed},
		{"header is a list", raw("[]", "{}"), ErrMalformed},
		{"claims are null", raw(header, "null"), ErrMalformed},
		{"claims are a list", raw(header, "[]"), ErrMalformed},
		{"claims are no JSON", raw(header, "{"), ErrMalformed},
		{"claims are deep", raw(header, strings.Repeat("[", 6000)), ErrMalformed},
		{"claims are not UTF-8", raw(header, "{\"sub\":\"\xff\",\"exp\":"+exp+",\"iss\":\"us\",\"aud\":\"chat\"}"), ErrMalformed},
		{"sub is null", raw(header, `{"sub":null,"exp":`+exp+`,"iss":"us","aud":"chat"}`), ErrMalformed},
		{"exp is null", raw(header, `{"sub":"a","exp":null,"iss":"us","aud":"chat"}`), ErrMalformed},
		{"aud is null", raw(header, `{"sub":"a","exp":`+exp+`,"iss":"us","aud":null}`), ErrMalformed},
		{"rooms is null", raw(header, `{"sub":"a","exp":`+exp+`,"iss":"us","aud":"chat","rooms":null}`), ErrMalformed},
		{"sub with half a character", raw(header, `{"sub":"a\ud800","exp":`+exp+`,"iss":"us","aud":"chat"}`), ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(tt.token)
			wantError(t, err, tt.want)
		})
	}
}

func cut(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

// TestKeyConfusion runs the attacks on libraries that trust the alg of a token.
func TestKeyConfusion(t *testing.T) {
	v := verifier(t, nil)
	all := signers()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		s := all[alg]
		der, _ := x509.MarshalPKIXPublicKey(s.public)
		for form, secret := range map[string][]byte{"PEM": publicPEM(s.public), "DER": der} {
			forger := signer{alg: "HS256", key: s.key, sign: func(text string) []byte { return hs256(secret, text) }}
			_, err := v.Verify(forger.mint(nil, nil))
			wantError(t, err, ErrWrongAlgorithm)
			_, err = v.Verify(forger.mint(object{"kid": nil}, nil))
			wantError(t, err, ErrBadSignature)
			if _, err := SecretKey("x", secret); form == "PEM" && err == nil {
				t.Error("a PEM file is taken for a secret")
			}
		}
		for other := range all { // a good signature, but with the name of another key
			if other != alg {
				_, err := v.Verify(s.mint(object{"kid": all[other].key.ID()}, nil))
				wantError(t, err, ErrWrongAlgorithm)
			}
		}
	}
	none := compact(`{"alg":"none"}`, `{"sub":"alice","exp":9999999999,"aud":"chat","iss":"us"}`, func(string) []byte { return nil })
	_, err := v.Verify(none)
	wantError(t, err, ErrWrongAlgorithm)

	// A key inside the token.
	brought := signer{alg: "EdDSA", key: all["EdDSA"].key, sign: func(s string) []byte { return make([]byte, 64) }}
	_, err = v.Verify(brought.mint(object{"kid": nil, "jku": "http://127.0.0.1:1/", "jwk": object{"kty": "OKP", "crv": "Ed25519", "x": b64(make([]byte, 32))}}, nil))
	wantError(t, err, ErrBadSignature)
}

func TestIdentity(t *testing.T) {
	v := verifier(t, func(c *Config) { c.Leeway = time.Minute })
	id, err := v.Verify(signers()["ES256"].mint(nil, object{"jti": "t-1", "rooms": []string{"general", "tea"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Subject: "alice", Rooms: []string{"general", "tea"}, Expires: noon.Add(time.Hour + time.Minute), TokenID: "t-1"}
	if id.Expires = id.Expires.UTC(); !reflect.DeepEqual(id, want) {
		t.Errorf("got %+v, want %+v", id, want)
	}
	if id.Expired(id.Expires.Add(-1)) || !id.Expired(id.Expires) || (Identity{}).Expired(noon) {
		t.Error("Expired is wrong about the moment of Expires or the zero time")
	}
	for _, tt := range []struct {
		rooms []string
		want  bool
	}{{nil, true}, {[]string{}, false}, {[]string{"tea"}, true}, {[]string{"Tea"}, false}} {
		if got := (Identity{Rooms: tt.rooms}).MayJoin("tea"); got != tt.want {
			t.Errorf("rooms %q: MayJoin %v", tt.rooms, got)
		}
	}
	id, err = v.Verify(signers()["ES256"].mint(nil, object{"rooms": []string{}}))
	if err != nil || id.MayJoin("tea") {
		t.Errorf("an empty list of rooms lets in: %v, %v", id, err)
	}
}

// TestExpiresPrints: for any exp and leeway, Expires can be written in RFC 3339.
func TestExpiresPrints(t *testing.T) {
	for _, leeway := range []time.Duration{-1, time.Second, 30 * time.Second, 24 * 366 * time.Hour} {
		v := verifier(t, func(c *Config) { c.Leeway = leeway })
		for _, exp := range []int64{maxTime, maxTime - 1, maxTime - 30, maxTime - 86400} {
			id, err := v.Verify(signers()["HS256"].mint(nil, object{"exp": exp}))
			if err != nil {
				t.Fatal(err)
			}
			want := min(exp+int64(max(leeway, 0)/time.Second), maxTime)
			if id.Expires.Unix() != want || id.Expires.UTC().Year() != 9999 {
				t.Errorf("exp %d, leeway %v: expires %v", exp, leeway, id.Expires)
			}
		}
	}
}

func TestVerifyConfigured(t *testing.T) {
	s := signers()["HS256"]
	v := verifier(t, func(c *Config) { c.WithoutExpiry, c.Leeway, c.Audience, c.Issuer = true, -1, nil, "" })
	id, err := v.Verify(s.mint(nil, object{"exp": nil, "aud": "x", "iss": nil}))
	if err != nil || !id.Expires.IsZero() {
		t.Errorf("without exp: %v, %v", id, err)
	}
	_, err = v.Verify(s.mint(nil, object{"exp": noon.Unix()}))
	wantError(t, err, ErrExpired)
	_, err = v.Verify(s.mint(nil, object{"nbf": noon.Unix() + 1}))
	wantError(t, err, ErrNotYetValid)
}

func TestRefresh(t *testing.T) {
	v, s := verifier(t, nil), signers()["EdDSA"]
	old, err := v.Verify(s.mint(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.Refresh(old, s.mint(nil, object{"exp": noon.Add(2 * time.Hour).Unix()}))
	if err != nil || !id.Expires.After(old.Expires) {
		t.Errorf("refreshed: %v, %v", id, err)
	}
	_, err = v.Refresh(old, s.mint(nil, object{"sub": "bob"}))
	wantError(t, err, ErrWrongSubject)
	_, err = v.Refresh(old, s.mint(nil, object{"exp": noon.Add(-time.Hour).Unix()}))
	wantError(t, err, ErrExpired)
}

func TestNewRefuses(t *testing.T) {
	k := signers()["HS256"].key
	for name, c := range map[string]Config{
		"no key":            {},
		"zero key":          {Keys: []Key{{}}},
		"two sets":          {KeySetFile: "a", KeySetURL: "https://a.example/"},
		"no such file":      {KeySetFile: "testdata/none.json"},
		"http elsewhere":    {KeySetURL: "http://a.example/keys"},
		"a file URL":        {KeySetURL: "file:///etc/keys"},
		"no URL":            {KeySetURL: "://"},
		"negative interval": {Keys: []Key{k}, Refresh: -1},
	} {
		if v, err := New(c); err == nil {
			v.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
