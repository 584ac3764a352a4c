//go:build linux && race

package perch

import (
	"bytes"
	"strings"
	"testing"

	"github.com/perchws/perch/pool"
)

// TestAuditFinds breaks invariants, one at a time: an assertion that cannot fail asserts
// nothing.
func TestAuditFinds(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(l *loop, s *slot)
		want string // of the panic
	}{
		{"nothing is wrong", func(l *loop, s *slot) { l.audit() }, ""},
		{"a byte is not counted", func(l *loop, s *slot) { l.outgoing.queued++; l.audit() }, "are counted"},
		{"a slot is not counted", func(l *loop, s *slot) { l.slab.live--; l.audit() }, "slots"},
		{"a descriptor is lost", func(l *loop, s *slot) { s.fd = -1; l.audit() }, "descriptor"},
		{"an answer is left in the cork", func(l *loop, s *slot) { l.cork.buf = append(l.cork.buf, 1); l.audit() }, "cork"},
		{"a callback has not ended", func(l *loop, s *slot) { l.calling.begin(0, s); l.audit() }, "inside a callback"},
		{"a callback in a callback", func(l *loop, s *slot) { l.calling.begin(0, s); l.calling.begin(1, s) }, "inside one of"},
		{"a callback behind OnClose", func(l *loop, s *slot) { s.state = stateClosed; l.calling.begin(0, s) }, "which is closed"},
		{"too much input is kept", func(l *loop, s *slot) {
			l.slab.thaw(s).in = &pool.Buffer{B: bytes.Repeat([]byte{1}, 2*readBudget)}
			l.audit()
		}, "bytes of input"},
		{"a cold part for nothing", func(l *loop, s *slot) { l.slab.thaw(s); l.audit() }, "nothing is unfinished"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, Config{MaxConnections: 1}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
			d.open(0)
			s := d.l.slab.at(0)
			queued, live, cork, calls, fd := d.l.outgoing.queued, d.l.slab.live, d.l.cork, d.l.calling, s.fd
			var got any
			func() {
				defer func() { got = recover() }()
				tt.harm(d.l, s)
			}()
			d.l.outgoing.queued, d.l.slab.live = queued, live
			d.l.cork, d.l.calling = cork, calls
			s.fd, s.state = fd, stateOpen
			if c := d.l.slab.coldOf(s); c != nil {
				c.in = nil
			}
			if text, _ := got.(string); (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) {
				t.Errorf("panic %v, want %q", got, tt.want)
			}
		})
	}
}
