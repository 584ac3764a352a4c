package owner_test

import (
	"runtime"
	"testing"

	"github.com/perchws/perch/internal/owner"
)

// elsewhere runs f on another thread and reports whether it panicked.
func elsewhere(f func()) (panicked bool) {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { done <- recover() != nil }()
		f()
	}()
	return <-done
}

func TestOwner(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var o owner.Owner
	o.Check()
	if elsewhere(o.Check) {
		t.Error("nobody owns it yet, and it is refused")
	}
	o.Claim()
	o.Check()
	if got := elsewhere(o.Check); got != owner.Enabled {
		t.Errorf("use by another thread panics: %v, want %v", got, owner.Enabled)
	}
	if elsewhere(func() { o.Claim(); o.Check() }) {
		t.Error("the next owner is refused")
	}
}
