//go:build linux

package limits_test

import (
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// TestSendBuffer: what a peer does not read waits here, where it is counted, and only a little of it in the kernel.
func TestSendBuffer(t *testing.T) {
	const all = 8 << 20
	filled := make(chan error, 1)
	srv := enginetest.StartRoute(t, perch.Config{MaxOutput: 2 * all}, perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
		for range all / 10_000 {
			if err := c.Send(perch.Binary, make([]byte, 10_000)); err != nil {
				filled <- err
				return
			}
		}
		filled <- nil
	}})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	if err := wstest.Receive(t, "all is queued", filled); err != nil {
		t.Fatal(err)
	}
	s := enginetest.AwaitStats(t, srv, "the kernel has some of it", func(s *perch.Stats) bool { return s.BytesSent > 100_000 })
	if most := 1 << 20; s.BytesSent > uint64(most) { // what the peer's kernel takes is in it
		t.Errorf("the kernels have taken %d bytes, %d are queued", s.BytesSent, s.QueuedBytes)
	}
	for range all / 10_000 { // and it comes whole
		c.ExpectMessage(perch.Binary, make([]byte, 10_000))
	}
}
