package ledger

import (
	"crypto/sha256"
	"encoding/hex"
)

// Key names who pays: a user who is signed in by a token, else an address. Two Keys are equal if the same client pays.
// The zero Key is the process itself, which has no share.
type Key [16]byte

// The first byte of a Key tells of what kind it is, so that no user can be named like an address.
const (
	keyUser    = 'u'
	keyAddress = 'a'
)

// User returns the Key of a user. It keeps nothing of id.
func User(id string) (k Key) {
	sum := sha256.Sum256([]byte(id))
	k[0] = keyUser
	copy(k[1:], sum[:])
	return k
}

// Address returns the Key of an address, as limit.ShareOf tells addresses apart. All that are not known are one.
func Address(a [8]byte) (k Key) {
	k[0] = keyAddress
	copy(k[1:], a[:])
	return k
}

// String is for logs: it shows no user's id.
func (k Key) String() string {
	switch k[0] {
	case keyUser:
		return "user " + hex.EncodeToString(k[1:5])
	case keyAddress:
		return "address " + hex.EncodeToString(k[1:9])
	}
	return "process"
}
