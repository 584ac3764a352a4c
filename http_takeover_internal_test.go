//go:build linux

package perch

import (
	"testing"

	"github.com/perchws/perch/internal/limit"
)

// Without a descriptor for it on the loop's side a connection is lost, and
// nothing else: it is not counted any more. (The room that its old descriptor
// leaves is not to be relied on.)
func TestTakeoverLost(t *testing.T) {
	d := drive(t, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	key := limit.Address{1}
	d.srv.connections.Add(1)
	d.srv.addresses.Add(key, 1, 1)
	d.l.takeoverArrived(&takeover{counted: key, upgrading: upgrading{route: d.srv.route(1)}}) // nothing is in the pair
	if n := d.srv.connections.Load(); n != 0 || d.srv.addresses.Len() != 0 || d.l.stats.AcceptErrors != 1 {
		t.Errorf("%d connections, %d addresses, %d errors", n, d.srv.addresses.Len(), d.l.stats.AcceptErrors)
	}
	d.gone()
}
