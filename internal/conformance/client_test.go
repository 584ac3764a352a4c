package conformance

import (
	"context"
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

// noListener is the address of an engine that only dials.
const noListener = "-"

// TestClient plays the server to a client of ours, which echoes.
func TestClient(t *testing.T) {
	srv := engine(t, noListener)
	runAll(t, asServer, "testdata/client.golden", func(t *testing.T) *wstest.Conn {
		ln := wstest.Listen(t)
		err := srv.Dial(context.Background(), "ws://"+ln.Addr().String()+"/", echo())
		if err != nil {
			t.Fatal(err)
		}
		return wstest.AcceptConn(t, ln)
	})
}
