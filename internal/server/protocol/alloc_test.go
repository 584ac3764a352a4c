//go:build !race

package protocol

import (
	"testing"
	"time"
)

// TestAllocations: the index of a message, and each string that is handed out but the type.
func TestAllocations(t *testing.T) {
	p := chatMessage()
	if n := testing.AllocsPerRun(100, func() { read(t, p) }); n > 4 {
		t.Errorf("to read a chat_message takes %v allocations, want 4", n)
	}
	buf, at := make([]byte, 0, 1024), time.Now()
	if n := testing.AllocsPerRun(100, func() { buf = write(buf[:0], "<hello>", at) }); n != 0 {
		t.Errorf("to write a message takes %v allocations, want none", n)
	}
	e := &Error{Code: CodeNoRoom}
	if n := testing.AllocsPerRun(100, func() { buf = AppendError(buf[:0], nil, e) }); n != 0 {
		t.Errorf("to write an error takes %v allocations, want none", n)
	}
}
