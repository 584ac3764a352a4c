//go:build race

package wire_test

import (
	"strings"
	"testing"

	"github.com/perchws/perch/internal/wire"
	"github.com/perchws/perch/internal/wstest"
)

// panics is the panic of f.
func panics(t *testing.T, f func()) (text string) {
	t.Helper()
	defer func() {
		text, _ = recover().(string)
		if text == "" {
			t.Error("no panic")
		}
	}()
	f()
	return ""
}

// A life ends only while nobody is in a call, and only its own next ones follow.
func TestChangeAsserted(t *testing.T) {
	s := newSink()
	w, out := begun(s, nil)
	got := reading(w, 1)
	wstest.Receive(t, "AwaitsPeer", s.read)
	if text := panics(t, func() { w.EndHandshake() }); !strings.Contains(text, "under way") {
		t.Errorf("panic %q", text)
	}
	w.Feed([]byte("x"))
	wstest.Receive(t, "a Read", got)
	if text := panics(t, func() { w.ToSocket(nil, nil) }); !strings.Contains(text, "cannot be on a socket next") {
		t.Errorf("panic %q", text)
	}
	w.EndHandshake()
	panics(t, func() { w.EndHandshake() })
	panics(t, func() { w.ToLoop(out) })
	panics(t, func() { w.BeginHandshake(out, s, nil, nil, nil) })
	w.ToSocket(nil, nil)
	panics(t, func() { w.ToSocket(nil, nil) })
	panics(t, func() { new(wire.Wire).ToLoop(out) })
}
