package conformance

import (
	"net/http/httptest"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// foreign puts an engine behind a net/http server of somebody else's, from which
// it takes the connections over, and returns that one's address.
func foreign(t *testing.T, srv *perch.Server) string {
	t.Helper()
	site := httptest.NewServer(srv)
	t.Cleanup(site.Close)
	return site.Listener.Addr().String()
}

// TestForeignServer plays the client to an engine inside of net/http: all is as on
// a listener of its own.
func TestForeignServer(t *testing.T) {
	addr := foreign(t, engine(t, "127.0.0.1:0"))
	runAll(t, asClient, "testdata/server.golden", func(t *testing.T) *wstest.Conn {
		return wstest.Dial(t, addr, "/ws")
	})
}
