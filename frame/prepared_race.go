//go:build race

package frame

import "hash/crc32"

// seal remembers the bytes of a message, so that race builds notice a change: what
// many connections share is immutable.
type seal struct{ sum uint32 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *seal) put(b []byte) { s.sum = crc32.Checksum(b, castagnoli) }

func (s *seal) check(b []byte) {
	if len(b) > 0 && crc32.Checksum(b, castagnoli) != s.sum {
		panic("frame: the bytes of a Prepared have been changed")
	}
}
