//go:build linux

package perch

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/internal/wstest"
)

// TestGoroutinesEnd: goroutines of all kinds are counted while they live, and a shutdown
// can wait for all of them.
func TestGoroutinesEnd(t *testing.T) {
	srv := New(Config{
		Addr: "127.0.0.1:0", Loops: 2, Workers: 3,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("plain")) }),
	})
	srv.HandleBlocking("/ws", BlockingHandler{OnMessage: func(r Ref, op Opcode, p []byte) { r.Send(op, p) }})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	c := wstest.Dial(t, srv.Addr().String(), "/ws")
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	for kind, want := range map[spawn.Kind]int{spawn.Worker: 3, spawn.Passage: 2, spawn.End: 1} {
		if n := srv.spawn.Live(kind); n != want {
			t.Errorf("%d goroutines of kind %v, want %d", n, kind, want)
		}
	}
	if n := srv.spawn.Live(spawn.Loop); n < 2 { // one more stands on the process's first thread, perhaps
		t.Errorf("%d goroutines of loops", n)
	}
	c.CloseHandshake(CloseNormal)
	ctx, cancel := context.WithTimeout(t.Context(), wstest.DefaultTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	late := time.After(wstest.DefaultTimeout)
	for kind := range spawn.Kinds {
		select {
		case <-srv.spawn.Gone(kind):
		case <-late:
			t.Fatalf("%d goroutines of kind %v live on", srv.spawn.Live(kind), kind)
		}
	}
}
