// Package entropy is the one source of a server's randomness: epochs, IDs, seeds,
// masking keys, names and salts come from it. The real one is the system's; a
// simulation has one that a number determines.
package entropy

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// Source gives random bytes. Any goroutine may call it, and it cannot fail.
type Source interface {
	// Fill overwrites p with bytes that nobody can predict.
	Fill(p []byte)
}

// System is the real source: the kernel's, by crypto/rand.
type System struct{}

// Fill implements Source. (crypto/rand.Read ends the process rather than fail.)
func (System) Fill(p []byte) { cryptorand.Read(p) }

// Seeded is a source for tests: two of the same seed give the same bytes, in the order
// in which they are asked for. Good for any goroutine.
type Seeded struct {
	mu  sync.Mutex
	gen *rand.ChaCha8
}

// NewSeeded makes a source that seed determines.
func NewSeeded(seed uint64) *Seeded {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	return &Seeded{gen: rand.NewChaCha8(s)}
}

// Fill implements Source.
func (s *Seeded) Fill(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen.Read(p)
}

// Uint64 is a random number.
func Uint64(s Source) uint64 {
	var b [8]byte
	s.Fill(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// IntN is a random number from 0 to n−1, each equally likely. n must be above 0.
func IntN(s Source, n int) int { return rand.New(stream{s}).IntN(n) }

// stream is a source as math/rand/v2 wants one.
type stream struct{ Source }

// Uint64 implements rand.Source.
func (s stream) Uint64() uint64 { return Uint64(s.Source) }

// Stream is a generator for one goroutine that needs many numbers, seeded by s once:
// unpredictable as s is, and without a system call for each number.
func Stream(s Source) *rand.ChaCha8 {
	var seed [32]byte
	s.Fill(seed[:])
	return rand.NewChaCha8(seed)
}
