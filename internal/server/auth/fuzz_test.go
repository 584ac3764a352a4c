package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzVerify: for any input, Verify does not panic, and accepts only signed tokens.
func FuzzVerify(f *testing.F) {
	v := verifier(f, nil)
	good := make(map[string]bool)
	for _, alg := range algorithms() {
		s := signers()[alg]
		for _, token := range []string{s.mint(nil, nil), s.mint(object{"kid": nil}, object{"rooms": []string{"a"}, "nbf": 1.5}), s.mint(nil, object{"sub": nil})} {
			good[token] = true
			f.Add(token)
		}
	}
	f.Add(compact(`{"alg":"none"}`, `null`, func(string) []byte { return nil }))
	f.Add(compact(`{"alg":"HS256","kid":7,"crit":null}`, `{"exp":1e999,"aud":{},"rooms":null}`, func(string) []byte { return nil }))
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Verify(token)
		var e *Error
		switch {
		case err == nil && (!good[token] || id.Subject != "alice"):
			t.Errorf("%q lets in %+v", token, id)
		case err != nil && (!errors.As(err, &e) || e.Code == ""):
			t.Errorf("error %v has no code", err)
		}
	})
}

// FuzzClaims signs any payload: an Identity that Verify returns has the promised form.
func FuzzClaims(f *testing.F) {
	v := verifier(f, func(c *Config) { c.Issuer, c.Audience, c.WithoutExpiry = "", nil, true })
	s := signers()["HS256"]
	for _, seed := range []string{"null", "{}", `{"sub":"a"}`, `{"sub":"a","exp":1e18,"nbf":-1}`, `{"sub":"\ud800","SUB":"b","sub":"c"}`,
		`{"sub":"a","rooms":["b"],"aud":["c"],"iss":"d","jti":"e","exp":9e9}`, `[[[`, "{\"sub\":\"\xff\"}"} {
		f.Add(`{"alg":"HS256"}`, seed)
	}
	f.Add(`{"alg":"HS256","crit":["exp"],"kid":"hs"}`, `{"sub":"a"}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		id, err := v.Verify(compact(header, payload, s.sign))
		if err != nil {
			return
		}
		if !printable(id.Subject, MaxSubject) || !utf8.ValidString(id.Subject) || len(id.Rooms) > MaxRooms || id.Expired(noon) {
			t.Errorf("%s lets in %+v", payload, id)
		}
		if !json.Valid([]byte(payload)) {
			t.Errorf("%q is no JSON", payload)
		}
	})
}

// FuzzRedact: a token in any carrier is removed, with any text around it.
func FuzzRedact(f *testing.F) {
	token := signers()["HS256"].mint(nil, nil)
	_, _, signature := cut(token)
	encoded := b64([]byte(token))
	f.Add("", "")
	f.Add("GET /ws?x=1", " HTTP/1.1")
	f.Add(`{"a":"\u00`, `\"}`)
	f.Add("%6", "%")
	f.Add("a.b.", ".c.d")
	f.Add("eyJ", "ZXlK")
	f.Add(`[redacted]"token":"`, `\`)
	f.Add("bearer\nbearer.", "bearer ")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, signature[:16]) {
			t.Skip()
		}
		quoted, _ := json.Marshal(token + after)
		for _, in := range []string{
			token,
			"token=" + token, "?token=" + url.QueryEscape(token), "%3Ftoken%3D" + token,
			"Authorization: Bearer " + token,
			"Cookie: x=1; tok=" + token,
			"Sec-WebSocket-Protocol: x, bearer." + encoded,
			`{"token":` + string(quoted) + `}`, `{"token" : "` + token + `"}`, `{\"token\":\"` + token + `\"}`,
			// Opaque tokens: only the carrier shows that they are tokens.
			" ?token=" + signature, "\nAuthorization: Bearer " + signature, "\nCookie: tok=" + signature,
			`{"token":"` + signature + `"}`, " bearer." + signature,
		} {
			out := Redact(before + in + after)
			for _, secret := range []string{token, signature, encoded, b64([]byte(signature))[:40]} {
				if strings.Contains(out, secret) {
					t.Errorf("Redact(%q) = %q", before+in+after, out)
				}
			}
		}
		if out := Redact(before); !strings.Contains(out, redacted) && out != before {
			t.Errorf("Redact(%q) = %q: changed, nothing redacted", before, out)
		}
	})
}

// FuzzToken: a token that is found was in the request, and a second, different token of its rank is always noticed.
func FuzzToken(f *testing.F) {
	f.Add("Bearer a.b.c", "x, bearer.YS5iLmM", "tok=a.b.c", "token=a.b.c")
	f.Add("Bearer a", "x, bearer.Yg", "tok=c; tok=d", "token=e&token=f")
	f.Add("basic", ",,bearer.", "tok", "%")
	f.Fuzz(func(t *testing.T, authorization, protocol, cookie, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{
			"Authorization": {authorization}, "Sec-Websocket-Protocol": {protocol}, "Cookie": {cookie}}}
		token, carrier, err := Token(httpRequest{r}, "tok")
		if (err == nil) != (token != "") || errors.Is(err, ErrMissing) != (carrier == CarrierNone) {
			t.Fatalf("%q, %v, %v", token, carrier, err)
		}
		r.Header.Add("Authorization", "Bearer other")
		got, with, err := Token(httpRequest{r}, "tok")
		switch {
		case !carrier.Explicit(): // cookie and query do not count beside it
			if err != nil || got != "other" || with != CarrierHeader {
				t.Errorf("with a header added: %q, %v, %v", got, with, err)
			}
		case token != "" && token != "other" && !errors.Is(err, ErrConflicting):
			t.Errorf("with another token added: %v", err)
		case token == "" && err == nil:
			t.Errorf("with another token added a wrong one is good: %q", got)
		}
	})
}
