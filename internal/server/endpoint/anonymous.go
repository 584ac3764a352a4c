package endpoint

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/session"
)

// Anonymous begins the ids of users without a token. No token may have such a subject.
const Anonymous = "anon-"

// AnonymousID is the id of a user without a token that shows a key: that of a session, or one of NewKey. With the key
// the user comes back, and owns the rooms that it has made; nothing is kept for that. The id reveals nothing about the
// key.
func AnonymousID(k session.Key) string {
	sum := sha256.Sum256(k[:])
	return Anonymous + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// NewKey makes a key for a user without a token and without a session.
func NewKey(e entropy.Source) (k session.Key) {
	e.Fill(k[:])
	return k
}
