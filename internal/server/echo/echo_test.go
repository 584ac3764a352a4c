//go:build linux

package echo

import (
	"context"
	"testing"
	"time"

	"github.com/perchws/perch"
)

func TestEcho(t *testing.T) {
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0"})
	srv.Handle("/ws", Handler())
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	defer func() {
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	}()
	for _, tt := range []struct {
		query string
		op    perch.Opcode
		in    string
		want  string
	}{
		{"", perch.Text, "hello", "Echo: hello"},
		{"", perch.Text, "", "Echo: "},
		{"", perch.Binary, "hello", "hello"},
		{"?raw=1", perch.Text, "hello", "hello"},
		{"?raw=1", perch.Binary, "\x00\xff", "\x00\xff"},
		{"?raw=2", perch.Text, "東京", "Echo: 東京"},
		{"?draw=1", perch.Text, "hello", "Echo: hello"},
	} {
		type answer struct {
			op perch.Opcode
			p  string
		}
		got := make(chan answer, 1)
		ended := make(chan error, 1)
		err := srv.Dial(ctx, "ws://"+srv.Addr().String()+"/ws"+tt.query, perch.Handler{
			OnOpen: func(c perch.Conn, _ *perch.Request) { _ = c.Send(tt.op, []byte(tt.in)) },
			OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
				got <- answer{op, string(p)}
				_ = c.Close(perch.CloseNormal, "")
			},
			OnClose: func(_ perch.Conn, err *perch.CloseError) { ended <- err },
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			select {
			case a := <-got:
				if a != (answer{tt.op, tt.want}) {
					t.Errorf("%q %v %q: got %v %q, want %q", tt.query, tt.op, tt.in, a.op, a.p, tt.want)
				}
			default:
				t.Errorf("%q %v %q: closed without an answer: %v", tt.query, tt.op, tt.in, err)
			}
		case <-ctx.Done():
			t.Fatalf("%q %v %q: nothing in 30 s", tt.query, tt.op, tt.in)
		}
	}
}
