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
	of := func(raw string, t any) reflect.Type {
		return reflect.StructOf([]reflect.StructField{
			{Name: raw, PkgPath: "crypto/tls", Type: reflect.TypeOf(t)},
			{Name: "input", PkgPath: "crypto/tls", Type: reflect.TypeFor[bytes.Reader]()},
			{Name: "hand", PkgPath: "crypto/tls", Type: reflect.TypeFor[bytes.Buffer]()},
		})
	}
	if !findBuffers(of("rawInput", bytes.Buffer{})).known {
		t.Error("what this test makes is unlike a tls.Conn")
	}
	for _, kind := range []reflect.Type{of("raw", bytes.Buffer{}), of("rawInput", []byte{})} {
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
