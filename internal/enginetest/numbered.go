//go:build linux

package enginetest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// FillSize is the size of one message of a fill.
const FillSize = 8 << 10

// Numbered is message n of a fill, told from all others.
func Numbered(n, size int) []byte {
	p := bytes.Repeat([]byte{byte(n)}, size)
	binary.BigEndian.PutUint64(p, uint64(n))
	return p
}

// Fill sends numbered messages until want bytes are queued: the socket is full.
// It returns how many.
func Fill(c perch.Conn, size, want int) (n int) {
	for ; c.Queued() < want; n++ {
		if err := c.Send(perch.Binary, Numbered(n, size)); err != nil {
			panic(err)
		}
	}
	return n
}

// ExpectNumbered reads messages from to upto of a fill, and checks every byte.
func ExpectNumbered(c *wstest.Conn, t testing.TB, from, upto int) {
	t.Helper()
	for n := from; n < upto; n++ {
		c.Expect(perch.Binary, Numbered(n, FillSize))
	}
}
