package auth

import (
	"strings"
	"testing"
	"time"
)

// revocations revoke one id, and all tokens of one user that were issued up to a time.
type revocations struct {
	id, user string
	upTo     time.Time
	asked    []Revocable
}

func (r *revocations) Revoked(t Revocable) bool {
	r.asked = append(r.asked, t)
	return t.ID == r.id || t.Subject == r.user && !t.Issued.After(r.upTo)
}

// TestRevoked: a token that is otherwise good is refused by its id, or by its subject and time of issue. A token
// without that time counts as older than any. Bad tokens are not asked about.
func TestRevoked(t *testing.T) {
	r := &revocations{id: "stolen", user: "bob", upTo: noon}
	v := verifier(t, func(c *Config) { c.Revocations = r })
	for _, tt := range []struct {
		name   string
		claims object
		want   *Error
	}{
		{"not revoked", object{"jti": "mine"}, nil},
		{"by its id", object{"jti": "stolen"}, ErrRevoked},
		{"by its subject", object{"sub": "bob", "iat": noon.Unix()}, ErrRevoked},
		{"issued later", object{"sub": "bob", "iat": noon.Unix() + 1}, nil},
		{"issued nobody knows when", object{"sub": "bob"}, ErrRevoked},
		{"issued at no time", object{"sub": "bob", "iat": "now"}, ErrRevoked},
		{"issued in milliseconds", object{"sub": "bob", "iat": noon.UnixMilli() * 1000}, ErrRevoked},
		{"somebody else's, at no time", object{"iat": []int{}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(signers()["ES256"].mint(nil, tt.claims))
			wantError(t, err, tt.want)
		})
	}
	r.asked = nil
	expired := signers()["ES256"].mint(nil, object{"jti": "stolen", "exp": noon.Add(-time.Hour).Unix()})
	_, err := v.Verify(expired)
	wantError(t, err, ErrExpired)
	good := signers()["ES256"].mint(nil, object{"jti": "stolen"})
	_, err = v.Verify(good[:strings.LastIndex(good, ".")+1] + "AAAA")
	wantError(t, err, ErrBadSignature)
	if len(r.asked) != 0 {
		t.Errorf("asked for %+v", r.asked)
	}
}
