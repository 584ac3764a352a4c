package auth

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the claims of a token that Sign makes. Zero fields are left out.
type Claims struct {
	Subject, Issuer, ID string
	Audience            []string
	Rooms               []string // nil: left out; empty: an empty list
	IssuedAt, NotBefore time.Time
	Expires             time.Time // cut to whole seconds
}

// Sign makes a token. It fails if the private half of the key is missing.
func (k Key) Sign(c Claims) (string, error) {
	if !k.CanSign() {
		return "", errors.New("auth: " + k.String() + " verifies only: its private half is needed")
	}
	payload := jwt.MapClaims{}
	for name, value := range map[string]string{"sub": c.Subject, "iss": c.Issuer, "jti": c.ID} {
		if value != "" {
			payload[name] = value
		}
	}
	for name, at := range map[string]time.Time{"iat": c.IssuedAt, "nbf": c.NotBefore, "exp": c.Expires} {
		if !at.IsZero() {
			payload[name] = at.Unix()
		}
	}
	if len(c.Audience) > 0 {
		payload["aud"] = c.Audience
	}
	if c.Rooms != nil {
		payload["rooms"] = c.Rooms
	}
	t := jwt.NewWithClaims(k.method, payload)
	if k.id != "" {
		t.Header["kid"] = k.id
	}
	return t.SignedString(k.private)
}
