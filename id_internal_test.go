//go:build linux

package perch

import (
	"strings"
	"testing"
)

func TestID(t *testing.T) {
	a := ID{epoch: 0x0102030405060708, loop: 0x090A, slot: 0x0B0C0D0E, gen: 0x0F101112}
	if got, want := a.String(), "AQIDBAUGBwgJCgsMDQ4PEBES"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, b := range []ID{{}, {epoch: 1}, {loop: 1}, {slot: 1}, {gen: 1}, {^uint64(0), ^uint16(0), ^uint32(0), ^uint32(0)}} {
		if b != a && b.String() == a.String() {
			t.Errorf("%+v and %+v are both %s", a, b, a)
		}
		if got, err := ParseID(b.String()); err != nil || got != b {
			t.Errorf("%v comes back as %v, %v", b, got, err)
		}
	}
	for _, s := range []string{"", "AQID", strings.Repeat("A", 23), strings.Repeat("A", 25), strings.Repeat("A", 28), strings.Repeat("+", 24), " " + strings.Repeat("A", 23), strings.Repeat("A", 24) + "\n", "\n" + strings.Repeat("A", 23)} {
		if id, err := ParseID(s); err == nil || id != (ID{}) {
			t.Errorf("ParseID(%q) is %v, %v", s, id, err)
		}
	}
	if (Ref{}).ID() != (ID{}) || !(Ref{}).Closed() || (Ref{}).Value() != nil || (Ref{}).Send(Text, nil) != ErrClosed {
		t.Error("the zero Ref is not a closed connection")
	}
}

func FuzzID(f *testing.F) {
	f.Add("AQIDBAUGBwgJCgsMDQ4PEBES")
	f.Add("AQIDBAUGBwgJCgsMDQ4PEBES\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err == nil && id.String() != s {
			t.Errorf("%q comes back as %q", s, id)
		}
	})
}
