//go:build linux

package perch

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"testing"
)

// This version of crypto/tls has its buffers where we look for them. If not,
// connections work, and cost two to five times as much memory: see strip.
func TestStripKnowsTLS(t *testing.T) {
	if !stripping.known {
		t.Fatal("crypto/tls.Conn has other fields than rawInput, input and hand, or other types")
	}
}

// What has other fields, or others of these names, is left alone.
func TestStripUnknown(t *testing.T) {
	field := func(name string, t reflect.Type) reflect.StructField {
		return reflect.StructField{Name: name, PkgPath: "crypto/tls", Type: t}
	}
	buffer, reader := reflect.TypeFor[bytes.Buffer](), reflect.TypeFor[bytes.Reader]()
	renamed := reflect.StructOf([]reflect.StructField{field("raw", buffer), field("input", reader), field("hand", buffer)})
	raw := field("rawInput", reflect.TypeFor[[]byte]())
	retyped := reflect.StructOf([]reflect.StructField{raw, field("input", reader), field("hand", buffer)})
	for _, kind := range []reflect.Type{renamed, retyped} {
		b := findBuffers(kind)
		if b.known {
			t.Errorf("%v is taken for a tls.Conn", kind)
		}
		b.strip(nil)
	}
}

// A connection that is in the middle of a record keeps its buffers.
func TestStripBusy(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	raw := (*bytes.Buffer)(reflect.ValueOf(c).Elem().FieldByName("rawInput").Addr().UnsafePointer())
	raw.WriteString("half a record")
	stripping.strip(c)
	if raw.String() != "half a record" {
		t.Errorf("%q is left", raw)
	}
	raw.Reset()
	stripping.strip(c)
	if raw.Cap() != 0 {
		t.Errorf("%d bytes of buffer are left", raw.Cap())
	}
}
