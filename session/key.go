package session

import (
	"encoding/base64"
	"encoding/binary"
	"log/slog"

	"github.com/perchws/perch/internal/entropy"
)

const (
	selectorSize = 8
	secretSize   = 16
	keyTextSize  = (selectorSize + secretSize) / 3 * 4
)

// A Key opens a session. Each session has one for life, its ID;
// [Store.Token] makes another that works once.
//
// It is random from end to end: the first 64 bits find the session, the other 128 prove that the bearer was given it.
// Memory looks up the first part and compares the second in constant time. So neither the time that it takes nor a
// log line with the first part helps anybody to guess a key. Comparable; the zero Key belongs to no session.
type Key [selectorSize + secretSize]byte

// NewKey returns a key that nobody can guess. It is for stores. It never fails:
// crypto/rand ends the process rather than return anything predictable.
func NewKey() (k Key) {
	entropy.System{}.Fill(k[:])
	return k
}

// ParseKey is the inverse of Text. A text that cannot be a key gets ErrNotFound, as a key does that opens no session.
func ParseKey(text string) (Key, error) {
	var k Key
	err := k.UnmarshalText([]byte(text))
	return k, err
}

// Text is the key in full, 32 characters of the URL-safe base64 alphabet
// (RFC 4648 §5): for the client it belongs to, and for nobody else.
func (k Key) Text() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// String names the key in logs and errors, where it must not be usable.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:6]) + "…" }

// GoString is String: %#v is redacted too.
func (k Key) GoString() string { return k.String() }

// LogValue implements slog.LogValuer: redacted.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is Text: a key in JSON is in full.
func (k Key) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, k[:]), nil
}

// UnmarshalText is ParseKey. The decoder accepts only the alphabet, and 32 characters have no spare bits: so a key
// has only one text.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != keyTextSize {
		return ErrNotFound
	}
	var read Key
	// The decoder skips line breaks, so the length has to be checked once more.
	if n, err := base64.RawURLEncoding.Decode(read[:], text); err != nil || n != len(read) {
		return ErrNotFound
	}
	*k = read
	return nil
}

func newKey(selector uint64, secret *[secretSize]byte) Key {
	var k Key
	binary.BigEndian.PutUint64(k[:], selector)
	copy(k[selectorSize:], secret[:])
	return k
}

func (k *Key) selector() uint64 { return binary.BigEndian.Uint64(k[:]) }

func (k *Key) secret() []byte { return k[selectorSize:] }
