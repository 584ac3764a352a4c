//go:build linux

package perch

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// ID names a connection in logs and for administrators. It is never used twice, not by another process either: it has
// the process's random epoch and the connection's loop, slot and generation. Comparable; no connection has the zero ID.
type ID struct {
	epoch uint64
	loop  uint16
	slot  uint32
	gen   uint32
}

// String is 24 characters of the URL-safe base64 alphabet (RFC 4648 §5).
func (id ID) String() string {
	var b [18]byte
	binary.BigEndian.PutUint64(b[0:], id.epoch)
	binary.BigEndian.PutUint16(b[8:], id.loop)
	binary.BigEndian.PutUint32(b[10:], id.slot)
	binary.BigEndian.PutUint32(b[14:], id.gen)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Find is the connection of an ID, which may be closed by now; the zero Ref if this server never had it. Any goroutine,
// once the server has started.
func (srv *Server) Find(id ID) Ref {
	if id.epoch != srv.epoch || int(id.loop) >= len(srv.loops) {
		return Ref{}
	}
	return Ref{srv.loops[id.loop], id.slot, id.gen}
}

// ParseID is the inverse of String.
func ParseID(s string) (ID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(s) != 24 || len(b) != 18 { // 24: the decoder ignores line ends
		return ID{}, fmt.Errorf("perch: %q is not a connection id", s)
	}
	return ID{
		epoch: binary.BigEndian.Uint64(b[0:]),
		loop:  binary.BigEndian.Uint16(b[8:]),
		slot:  binary.BigEndian.Uint32(b[10:]),
		gen:   binary.BigEndian.Uint32(b[14:]),
	}, nil
}
