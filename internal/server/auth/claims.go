package auth

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/perchws/perch/internal/label"
)

// Limits on the claims of a token.
const (
	MaxToken   = 8 << 10 // bytes of a token
	MaxSubject = 128     // bytes of sub, and of jti
	MaxRooms   = 100     // entries of rooms
	MaxRoom    = 64      // bytes of one

	maxTime = 253402300799 // 9999-12-31T23:59:59Z, in seconds: the last moment that RFC 3339 can write
)

// Identity has the facts of a good token. It is a value without a secret; do not change Rooms.
type Identity struct {
	Subject string // 1 to MaxSubject bytes, printable
	// Rooms are the only rooms that the token allows; nil: it allows all. See MayJoin.
	Rooms []string
	// Expires is the moment from which Verify refuses the token: its exp and the leeway, at the latest in the year
	// 9999. Zero: never.
	Expires time.Time
	TokenID string // jti; may be empty
}

// MayJoin reports whether the bearer of the token may enter a room. A token without the claim allows every room; one
// with an empty list allows none.
func (i Identity) MayJoin(room string) bool {
	return i.Rooms == nil || slices.Contains(i.Rooms, room)
}

// Expired reports whether the token is refused at now.
func (i Identity) Expired(now time.Time) bool {
	return !i.Expires.IsZero() && !now.Before(i.Expires)
}

// claims is the payload of a token (RFC 7519 §4.1).
type claims struct {
	jwt.RegisteredClaims // stays empty: makes this a jwt.Claims

	sub, iss, jti string
	aud           []string
	rooms         []string // nil: absent
	exp, nbf, iat time.Time
}

// UnmarshalJSON matches names exactly: encoding/json would accept "SUB" for "sub". Unknown claims are ignored (RFC
// 7519 §4); null counts as absent.
func (c *claims) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(b, &all) != nil {
		return malformed("claims are not a JSON object")
	}
	for _, claim := range []struct {
		name string
		into any
	}{{"sub", &c.sub}, {"iss", &c.iss}, {"jti", &c.jti}, {"rooms", &c.rooms}} {
		raw, ok := all[claim.name]
		if ok && (string(raw) == "null" || json.Unmarshal(raw, claim.into) != nil) {
			return malformed("claim " + claim.name + " is of the wrong type")
		}
	}
	if raw, ok := all["aud"]; ok { // one or a list, RFC 7519 §4.1.3
		var one string
		switch {
		case string(raw) == "null":
			return malformed("claim aud is of the wrong type")
		case json.Unmarshal(raw, &one) == nil:
			c.aud = []string{one}
		case json.Unmarshal(raw, &c.aud) != nil:
			return malformed("claim aud is of the wrong type")
		}
	}
	for _, claim := range []struct {
		name string
		into *time.Time
	}{{"exp", &c.exp}, {"nbf", &c.nbf}} {
		raw, ok := all[claim.name]
		if !ok {
			continue
		}
		var err *Error
		if *claim.into, err = numericDate(claim.name, raw); err != nil {
			return err
		}
	}
	if raw, ok := all["iat"]; ok { // a value that is no time is ignored: it is no reason to refuse a token
		c.iat, _ = numericDate("iat", raw)
	}
	return nil
}

// numericDate reads a NumericDate (RFC 7519 §2): seconds since 1970, perhaps with a fraction. A negative one is long
// ago. One after the year 9999 is an error: its author counts in other units, and the token would be good for ever.
func numericDate(name string, raw json.RawMessage) (time.Time, *Error) {
	var seconds float64
	switch {
	case string(raw) == "null" || json.Unmarshal(raw, &seconds) != nil:
		return time.Time{}, malformed("claim " + name + " is not a number of seconds since 1970")
	case seconds >= maxTime+1:
		return time.Time{}, malformed("claim " + name + " is after the year 9999: it counts seconds, not milliseconds")
	case seconds < 0:
		return time.Unix(0, 0), nil
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)), nil
}

// form checks all that does not depend on the time or the configuration.
func (c *claims) form() *Error {
	if !printable(c.sub, MaxSubject) {
		return malformed("claim sub is missing, too long or not printable")
	}
	if c.jti != "" && !printable(c.jti, MaxSubject) {
		return malformed("claim jti is too long or not printable")
	}
	if len(c.rooms) > MaxRooms {
		return malformed("claim rooms has too many entries")
	}
	for _, room := range c.rooms {
		if !printable(room, MaxRoom) {
			return malformed("claim rooms has an entry that is no room")
		}
	}
	return nil
}

// printable reports whether s has 1 to most bytes, all of them of visible characters, or spaces inside: logs and
// pages would hide a space at the end of a name. It refuses U+FFFD, into which JSON with bad UTF-8 is decoded: two
// different subjects could become one.
func printable(s string, most int) bool {
	return len(s) <= most && label.Valid(s)
}
