package conformance

import (
	"net/http/httptest"
	"testing"

	"github.com/perchws/perch"
)

// foreign puts an engine behind a net/http server of somebody else's, from which
// it takes the connections over, and returns that one's address.
func foreign(t *testing.T, srv *perch.Server) string {
	t.Helper()
	site := httptest.NewServer(srv)
	t.Cleanup(site.Close)
	return site.Listener.Addr().String()
}
