package conformance

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// noListener is the address of an engine that only dials.
const noListener = "-"

// engine starts the engine as `perchbench serve` does: no rate limit, no limit on
// fragments, messages up to 16 MiB and 1 KiB.
func engine(t *testing.T, addr string, z perch.Compression) *perch.Server {
	t.Helper()
	return engineTLS(t, addr, z, nil)
}

// engineTLS is engine over TLS.
func engineTLS(t *testing.T, addr string, z perch.Compression, secure *tls.Config) *perch.Server {
	t.Helper()
	srv := perch.New(perch.Config{
		TLS:                     secure,
		Addr:                    addr,
		Loops:                   2,
		MaxMessageSize:          maxMessage,
		MaxFragments:            -1,
		MaxOutput:               64 * mib,
		Rate:                    perch.Rate{Messages: -1, Burst: -1, Bytes: -1},
		NewConnectionsPerSecond: -1,
		Compression:             z,
	})
	if addr != noListener {
		srv.Handle("/ws", echo())
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wstest.DefaultTimeout)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return srv
}

// echo is the endpoint that the suite asks for: every message comes back.
func echo() perch.Handler {
	return perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) },
	}
}

// TestServerCloseCodes closes with every code near the edge of a range and samples
// between: what may be on the wire comes back, everything else is a protocol error
// (RFC 6455 section 7.4, and the registry for 1012 to 1014).
func TestServerCloseCodes(t *testing.T) {
	eachServer(t, func(t *testing.T, start func(t *testing.T, z perch.Compression) string) {
		addr := start(t, perch.Compression{})
		for n := 0; n < 1<<16; n = following(n) {
			code := frame.CloseCode(n)
			c := wstest.Dial(t, addr, "/ws")
			c.Send(wstest.Close(code, "why"))
			want := frame.CloseProtocolError
			if legal(n) {
				want = code
			}
			f, err := c.Next()
			if err != nil {
				t.Fatalf("close %d: %v", n, err)
			}
			if got, _ := f.CloseInfo(); f.Op != frame.OpClose || got != want {
				t.Errorf("close %d: answered with %v, want close %d", n, f, uint16(want))
			}
			c.ExpectEOF()
			c.Close()
		}
	})
}

// following skips the inside of ranges in which nothing changes.
func following(n int) int {
	for _, r := range [][2]int{{20, 980}, {1040, 2980}, {3020, 3980}, {4020, 4980}, {5020, 65500}} {
		if n >= r[0] && n < r[1] {
			return min(n+97, r[1])
		}
	}
	return n + 1
}

func legal(n int) bool {
	return n >= 1000 && n <= 1003 || n >= 1007 && n <= 1014 || n >= 3000 && n <= 4999
}

// TestServerPipelined sends the first frame right behind the request, cut in two
// at the places that matter; then a compressed one.
func TestServerPipelined(t *testing.T) {
	eachServer(t, func(t *testing.T, start func(t *testing.T, z perch.Compression) string) {
		addr := start(t, perch.Compression{})
		text := string(content(frame.OpText, 300))
		for _, tt := range []struct {
			header []string
			first  wstest.Frame
			echo   string
		}{
			{nil, wstest.Text(text), text},
			{[]string{extensions + ": permessage-deflate"}, packedAs(frame.OpText, goodPacked), "Hello"},
		} {
			all := wstest.Request(addr, "/ws", tt.header...)
			request := len(all)
			all = append(all, tt.first.Bytes()...)
			for _, cut := range []int{0, request - 1, request, request + 1, request + 3, len(all) - 1} {
				c := wstest.Connect(t, addr)
				c.Write(all[:cut])
				c.Write(all[cut:])
				c.ExpectUpgraded()
				c.ExpectText(tt.echo)
				c.CloseHandshake(frame.CloseNormal)
			}
		}
	})
}
