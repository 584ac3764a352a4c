package room

import (
	"context"
	"crypto/subtle"

	"golang.org/x/crypto/argon2"

	"github.com/perchws/perch/internal/label"
)

// Password is a password as it is kept: a slow salted hash (argon2id, RFC 9106).
// The zero value is none.
type Password struct{ hash *hash }

type hash struct {
	salt [16]byte
	sum  [32]byte
}

// IsSet reports that there is a password.
func (p Password) IsSet() bool { return p.hash != nil }

// passwordVersion begins what Bytes returns: another way of hashing is another version.
const passwordVersion = 1

// Bytes is the password as it is kept, for a broker that keeps it elsewhere: salt and
// hash, from which nobody finds the password but by trying. nil: there is none.
func (p Password) Bytes() []byte {
	if p.hash == nil {
		return nil
	}
	b := append([]byte{passwordVersion}, p.hash.salt[:]...)
	return append(b, p.hash.sum[:]...)
}

// PasswordOf is the opposite of Bytes. Error: ErrPasswordInvalid.
func PasswordOf(b []byte) (Password, error) {
	if len(b) == 0 {
		return Password{}, nil
	}
	h := new(hash)
	if len(b) != 1+len(h.salt)+len(h.sum) || b[0] != passwordVersion {
		return Password{}, ErrPasswordInvalid
	}
	copy(h.sum[:], b[1+copy(h.salt[:], b[1:]):])
	return Password{h}, nil
}

// What one hash costs: 19 MiB and, on a core of today, some 20 ms.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
)

// MaxPassword bounds a password, in bytes, as it was typed; maxWaiting how many
// are waiting to be hashed.
const (
	MaxPassword = 256
	maxWaiting  = 256
)

// Hash makes a Password. It does not matter how the same characters are encoded
// (RFC 8265 OpaqueString). It computes for a while, and waits for others that do:
// not for event loops. Errors: ErrPasswordInvalid if it is empty, over MaxPassword
// bytes or has characters that cannot be seen, ErrBusy, ctx's.
func (h *Hub) Hash(ctx context.Context, password string) (Password, error) {
	password, ok := opaque(password)
	if !ok {
		return Password{}, ErrPasswordInvalid
	}
	n := new(hash)
	h.cfg.Entropy.Fill(n.salt[:])
	if err := h.hash(ctx, password, n); err != nil {
		return Password{}, err
	}
	return Password{n}, nil
}

// opaque is a password as it is hashed; false: it can be none.
func opaque(password string) (string, bool) {
	if len(password) > MaxPassword {
		return "", false
	}
	return label.Password(password)
}

// hash computes n.sum. So many at a time, that joining is never what a server
// does with all its cores and memory.
func (h *Hub) hash(ctx context.Context, password string, n *hash) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return ErrBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.hashing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.hashing }()
	copy(n.sum[:], argon2.IDKey([]byte(password), n.salt[:], argonTime, argonMemory, argonThreads, uint32(len(n.sum))))
	return nil
}

// Key opens a room with a password. It is Unlock's answer, and good for that
// room alone.
type Key struct {
	room  *Room
	hash  *hash // of the password that was shown
	admin bool
}

// MasterKey opens every room: for administrators.
func MasterKey() Key { return Key{admin: true} }

func (k Key) opens(r *Room) bool {
	want := r.settings.Load().Password.hash
	return want == nil || k.admin || k.room == r && k.hash != nil && *k.hash == *want
}

// Unlock checks a password, in constant time. It waits, like Hash: not for event
// loops. A room without a password needs no key; any password will do. How
// often somebody may try is the caller's to limit. Errors: ErrPassword, ErrBusy,
// ErrNotFound when the room is deleted, ctx's.
func (r *Room) Unlock(ctx context.Context, password string) (Key, error) {
	if r.Closed() {
		return Key{}, ErrNotFound
	}
	want := r.settings.Load().Password.hash
	if want == nil {
		return Key{room: r}, nil
	}
	password, ok := opaque(password)
	if !ok {
		return Key{}, ErrPassword
	}
	got := hash{salt: want.salt}
	if err := r.hub.hash(ctx, password, &got); err != nil {
		return Key{}, err
	}
	if subtle.ConstantTimeCompare(got.sum[:], want.sum[:]) == 0 {
		return Key{}, ErrPassword
	}
	return Key{room: r, hash: want}, nil
}
