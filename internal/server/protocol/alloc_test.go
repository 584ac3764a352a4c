//go:build !race

package protocol

import (
	"testing"
	"time"
)

// TestAllocations: reading a message allocates its index, and each string that is returned except the type.
func TestAllocations(t *testing.T) {
	p := chatMessage()
	if n := testing.AllocsPerRun(100, func() { read(t, p) }); n > 4 {
		t.Errorf("reading a chat_message takes %v allocations, want 4", n)
	}
	buf, at := make([]byte, 0, 1024), time.Now()
	if n := testing.AllocsPerRun(100, func() { buf = write(buf[:0], "<hello>", at) }); n != 0 {
		t.Errorf("writing a message takes %v allocations, want none", n)
	}
	e := &Error{Code: CodeNoRoom}
	if n := testing.AllocsPerRun(100, func() { buf = AppendError(buf[:0], nil, e) }); n != 0 {
		t.Errorf("writing an error takes %v allocations, want none", n)
	}
}
