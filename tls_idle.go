//go:build linux

package perch

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"time"
	"unsafe"
)

// crypto/tls keeps the buffers that a connection's records were read into: 2 to 17 kB, half or more of what an idle
// connection costs. They are private to tls.Conn, and their places in it are looked up. Where this version of Go has no
// fields of these names and types, the buffers stay, and TestStripKnowsTLS fails.
var stripping = findBuffers(reflect.TypeFor[tls.Conn]())

// recordBuffers are the places of the input buffers within a tls.Conn.
type recordBuffers struct {
	raw   uintptr // bytes.Buffer: records not opened yet
	plain uintptr // bytes.Reader: of the record opened last, within raw
	hand  uintptr // bytes.Buffer: handshake messages not acted on yet
	known bool
}

func findBuffers(t reflect.Type) (b recordBuffers) {
	raw, ok1 := t.FieldByName("rawInput")
	plain, ok2 := t.FieldByName("input")
	hand, ok3 := t.FieldByName("hand")
	if !ok1 || !ok2 || !ok3 || raw.Type != reflect.TypeFor[bytes.Buffer]() ||
		plain.Type != reflect.TypeFor[bytes.Reader]() || hand.Type != reflect.TypeFor[bytes.Buffer]() {
		return recordBuffers{}
	}
	return recordBuffers{raw.Offset, plain.Offset, hand.Offset, true}
}

// strip gives the buffers to the collector if nothing is in them; else they stay. No call of c may be under way.
func (b *recordBuffers) strip(c *tls.Conn) {
	if !b.known {
		return
	}
	at := unsafe.Pointer(c)
	raw := (*bytes.Buffer)(unsafe.Add(at, b.raw))
	plain := (*bytes.Reader)(unsafe.Add(at, b.plain))
	hand := (*bytes.Buffer)(unsafe.Add(at, b.hand))
	if raw.Len() != 0 || plain.Len() != 0 || hand.Len() != 0 {
		return
	}
	*raw, *plain, *hand = bytes.Buffer{}, bytes.Reader{}, bytes.Buffer{}
}

// stripAfter is the silence after which a connection's record buffers are given back. To make them again costs about a
// microsecond.
const stripAfter = time.Second

// stripIdle gives back the record buffers of a silent connection. The sweep calls it for connections with nothing
// unfinished.
func (l *loop) stripIdle(i uint32, s *slot) {
	l.own.Check()
	t := l.slab.tls.Get(i)
	if t.stripped || !l.past(l.coarse-s.seen(), stripAfter) {
		return
	}
	t.stripped = true
	stripping.strip(t.conn)
}
