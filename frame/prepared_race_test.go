//go:build race

package frame_test

import (
	"testing"

	"github.com/perchws/perch/frame"
)

func TestPreparedChanged(t *testing.T) {
	p := frame.Prepare(frame.OpText, []byte("for all of us"))
	p.Bytes()
	p.Payload()[0] = 'F'
	defer func() {
		if recover() == nil {
			t.Error("a message that was changed is sent on")
		}
	}()
	p.Bytes()
}
