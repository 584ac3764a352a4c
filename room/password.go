package room

import (
	"context"
	"crypto/subtle"

	"golang.org/x/crypto/argon2"

	"github.com/perchws/perch/internal/label"
)

// Password is a slow salted hash of a password (argon2id, RFC 9106). The zero value means that there is no password.
type Password struct{ hash *hash }

type hash struct {
	salt [16]byte
	sum  [32]byte
}

// IsSet reports whether there is a password.
func (p Password) IsSet() bool { return p.hash != nil }

// passwordVersion is the first byte of Bytes: another way of hashing gets another version.
const passwordVersion = 1

// Bytes returns the hash and its salt, for a broker that keeps them elsewhere. Nobody finds the password from them
// except by trying. nil: there is no password.
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

// The cost of one hash: 19 MiB and, on a core of today, about 20 ms.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
)

// MaxPassword bounds a password, in bytes, as it was typed; maxWaiting bounds how many wait to be hashed.
const (
	MaxPassword = 256
	maxWaiting  = 256
)

// Hash makes a Password. It does not matter how the same characters are encoded (RFC 8265 OpaqueString). It computes
// for a while, and waits for other calls: not for event loops. Errors: ErrPasswordInvalid if the password is empty,
// over MaxPassword bytes or has invisible characters, ErrBusy, ctx's.
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

// opaque is the form of a password that is hashed; false: it is not a valid password.
func opaque(password string) (string, bool) {
	if len(password) > MaxPassword {
		return "", false
	}
	return label.Password(password)
}

// hash computes n.sum. Only a few run at a time, so that passwords never take all cores and memory of a server.
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

// Key opens a room with a password. Unlock returns it. It is good for that room alone.
type Key struct {
	room  *Room
	hash  *hash // of the password that was given
	admin bool
}

// MasterKey opens every room: for administrators.
func MasterKey() Key { return Key{admin: true} }

func (k Key) opens(r *Room) bool {
	want := r.settings.Load().Password.hash
	return want == nil || k.admin || k.room == r && k.hash != nil && *k.hash == *want
}

// Unlock checks a password, in constant time. It waits, like Hash: not for event loops. A room without a password
// needs no key; any password will do. The caller must limit how often somebody may try. Errors: ErrPassword, ErrBusy,
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
