//go:build linux

package enginetest

import (
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// Closes collects what OnClose is told.
type Closes chan *perch.CloseError

// Note is an OnClose.
func (ch Closes) Note(_ perch.Conn, err *perch.CloseError) { ch <- err }

// One waits for the connections of srv to be gone and returns the only close
// there was.
func (ch Closes) One(t testing.TB, srv *perch.Server) *perch.CloseError {
	t.Helper()
	err := wstest.Receive(t, "OnClose", ch)
	s := AwaitStats(t, srv, "the connection is gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.QueuedBytes == 0 })
	if s.Opened != s.Closed {
		t.Errorf("%d opened, %d closed", s.Opened, s.Closed)
	}
	if n := len(ch); n != 0 {
		t.Errorf("OnClose called %d times more: %v", n, <-ch)
	}
	return err
}
