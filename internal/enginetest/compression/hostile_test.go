//go:build linux

package compression_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// zeros is the compressed form of n MiB of them: a thousandth.
func zeros(n int) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	piece := make([]byte, 1<<20)
	w.Write(piece)
	w.Flush()
	first := b.Len()
	w.Write(piece)
	w.Flush()
	again := b.Bytes()[first:] // it refers to zeros before it: it may stand any number of times
	return bytes.TrimSuffix(append(b.Bytes()[:first:first], bytes.Repeat(again, n-1)...), []byte(flushed))
}

// compressed is a final frame with RSV1.
func compressed(op perch.Opcode, p []byte) wstest.Frame {
	return wstest.Frame{Op: op, Payload: p, Rsv: frame.RSV1}
}

// emptyBlocks are four blocks with codes of their own that say nothing.
const emptyBlocks = "\x04\xc0\x81\x00\x00\x00\x00\x00\x90\xff\x6b\x10\x00\x07\x02\x00\x00\x00\x00\x40\xfe\xaf\x41" +
	"\x00\x1c\x08\x00\x00\x00\x00\x00\xf9\xbf\x06\x01\x70\x20\x00\x00\x00\x00\x00\xe4\xff\x1a"

// offer is what most tests connect with.
const offer = "permessage-deflate"

// Whatever a peer gets wrong about compression fails its connection with the code
// for it, and the next one is served.
func TestDeflateFaults(t *testing.T) {
	var d deflater
	good := d.deflate(t, []byte(talk(1, 3000)))
	kept := deflater{takeover: true}
	for i := range uint64(40) { // 40,000 bytes
		kept.deflate(t, noise(i, 1000))
	}
	far := kept.deflate(t, noise(10, 1000)) // 31,000 bytes back
	if len(far) > 100 {
		t.Fatalf("%d bytes do not refer to what was said", len(far))
	}
	for _, tt := range []struct {
		name   string
		offer  string // "": none
		frames []wstest.Frame
		code   frame.CloseCode
	}{
		{"not negotiated", "", []wstest.Frame{compressed(perch.Text, good)}, frame.CloseProtocolError},
		{"RSV2", offer, []wstest.Frame{{Op: perch.Text, Payload: good, Rsv: 2}}, frame.CloseProtocolError},
		{"RSV1 and RSV3", offer, []wstest.Frame{{Op: perch.Text, Payload: good, Rsv: 5}}, frame.CloseProtocolError},
		{"ping", offer, []wstest.Frame{compressed(frame.OpPing, nil)}, frame.CloseProtocolError},
		{"pong", offer, []wstest.Frame{compressed(frame.OpPong, []byte("x"))}, frame.CloseProtocolError},
		{"close", offer, []wstest.Frame{compressed(frame.OpClose, nil)}, frame.CloseProtocolError},
		{"ping within a message", offer, []wstest.Frame{{Op: perch.Text, Payload: good[:10], Rsv: 4, More: true}, compressed(frame.OpPing, nil)}, frame.CloseProtocolError},
		{"continuation", offer, []wstest.Frame{{Op: perch.Text, Payload: good[:10], Rsv: 4, More: true}, compressed(frame.OpContinuation, good[10:])}, frame.CloseProtocolError},
		{"continuation of a plain message", offer, []wstest.Frame{{Op: perch.Text, More: true}, compressed(frame.OpContinuation, good)}, frame.CloseProtocolError},
		{"cut", offer, []wstest.Frame{compressed(perch.Binary, good[:len(good)/2])}, frame.CloseInvalidPayload},
		{"cut, in fragments", offer, []wstest.Frame{{Op: perch.Binary, Payload: good[:50], Rsv: 4, More: true}, {Op: frame.OpContinuation, Payload: good[50:100]}}, frame.CloseInvalidPayload},
		{"garbage", offer, []wstest.Frame{compressed(perch.Binary, []byte("this is no DEFLATE stream"))}, frame.CloseInvalidPayload},
		{"reserved block", offer, []wstest.Frame{compressed(perch.Binary, []byte{0x06})}, frame.CloseInvalidPayload},
		{"hundreds of codes for nothing", offer, []wstest.Frame{compressed(perch.Binary, append(bytes.Repeat([]byte(emptyBlocks), 65), 0))}, frame.ClosePolicyViolation},
		{"not UTF-8", offer, []wstest.Frame{compressed(perch.Text, d.deflate(t, []byte(strings.Repeat("ok ", 500)+"\xc0\xaf")))}, frame.CloseInvalidPayload},
		{"half a character", offer, []wstest.Frame{compressed(perch.Text, d.deflate(t, []byte("caf\xc3")))}, frame.CloseInvalidPayload},
		{"a context that is not agreed", offer + "; client_no_context_takeover", []wstest.Frame{compressed(perch.Binary, kept.deflate(t, noise(39, 1000)))}, frame.CloseInvalidPayload},
		{"beyond the window", offer + "; client_max_window_bits=10", append(plainly(40, func(i uint64) []byte { return d.deflate(t, noise(i, 1000)) }), compressed(perch.Binary, far)), frame.CloseInvalidPayload},
		{"a byte too many", offer, []wstest.Frame{compressed(perch.Binary, d.deflate(t, make([]byte, 64<<10+1)))}, frame.CloseMessageTooBig},
		{"bomb", offer, []wstest.Frame{compressed(perch.Binary, zeros(40))}, frame.CloseMessageTooBig},
		{"bomb that is corrupt behind", offer, []wstest.Frame{compressed(perch.Binary, append(zeros(40), "\xff\xff"...))}, frame.CloseMessageTooBig},
		{"compressed to no less", offer, []wstest.Frame{{Op: perch.Binary, Rsv: 4, Claim: 64<<10 + 64<<7 + 64<<4 + 65}}, frame.CloseMessageTooBig},
		{"more than may be, in fragments", offer, slices.Repeat([]wstest.Frame{{Op: frame.OpContinuation, More: true, Payload: make([]byte, 16<<10)}}, 5), frame.CloseMessageTooBig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited, Loops: 1, Compression: perch.Compression{ClientTakeover: true}}, perch.Handler{})
			if tt.frames[0].Op == frame.OpContinuation && tt.code == frame.CloseMessageTooBig {
				tt.frames[0].Op, tt.frames[0].Rsv = perch.Binary, 4
			}
			var c *wstest.Conn
			if tt.offer == "" {
				c = enginetest.Dial(t, srv)
			} else {
				c = wstest.Dial(t, srv.Addr().String(), "/ws", "Sec-WebSocket-Extensions: "+tt.offer)
			}
			c.Send(tt.frames...)
			c.ExpectFail(tt.code)
			next := dialDeflate(t, srv, "permessage-deflate", "permessage-deflate; server_no_context_takeover")
			next.Send(compressed(perch.Text, good))
			next.CloseHandshake(perch.CloseNormal)
			if s := srv.Stats(); s.ProtocolErrors != 1 {
				t.Errorf("%d protocol errors", s.ProtocolErrors)
			}
		})
	}
}

// plainly are n messages.
func plainly(n uint64, f func(i uint64) []byte) (all []wstest.Frame) {
	for i := range n {
		all = append(all, compressed(perch.Binary, f(i)))
	}
	return all
}

// At the limit a message is taken, also where compressing has made it longer.
func TestDeflateLongest(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited, MaxMessageSize: 10000}, enginetest.Echo())
	c := dialDeflate(t, srv, offer, noTakeover)
	var d deflater
	c.Send(compressed(perch.Binary, d.deflate(t, make([]byte, 10000))))
	got, err := c.Next()
	if err != nil || got.Rsv != frame.RSV1 || len(d.inflate(t, got.Payload)) != 10000 {
		t.Fatalf("%v, %v", got, err)
	}
	// Stored, in blocks of few bytes: 5 more for each.
	p := noise(1, 10000)
	var b []byte
	for piece := range slices.Chunk(p, 50) {
		n := uint16(len(piece))
		b = append(b, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
		b = append(b, piece...)
	}
	c.Send(compressed(perch.Binary, append(b, 0)))
	c.Expect(perch.Binary, p)
	c.CloseHandshake(perch.CloseNormal)
}

// What a bomb costs is the limit, in memory too: a megabyte of it that inflates to
// a gigabyte, where messages of a megabyte are allowed.
func TestDeflateBombMemory(t *testing.T) {
	const limit = 1 << 20
	bomb := zeros(1010)
	if len(bomb) > limit {
		t.Fatalf("%d bytes of it", len(bomb))
	}
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited, Loops: 1, MaxMessageSize: limit}, perch.Handler{})
	var before, after runtime.MemStats
	for range 4 { // the first makes what is used again
		c := dialDeflate(t, srv, offer, noTakeover)
		runtime.ReadMemStats(&before)
		c.Send(compressed(perch.Binary, bomb))
		c.ExpectFail(frame.CloseMessageTooBig)
		runtime.ReadMemStats(&after)
	}
	// The test's own frame is in it, twice; the loop's buffers too.
	if n := after.TotalAlloc - before.TotalAlloc; n > 12*limit {
		t.Errorf("%d bytes were allocated for a bomb, want 12 times the limit at the most", n)
	}
}

// Blocks that say nothing, one after another, are what they are long, no more.
func TestDeflateEmptyBlocks(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited, Loops: 1}, enginetest.Echo())
	c := dialDeflate(t, srv, offer, noTakeover)
	for name, block := range map[string]string{
		"stored": "\x00\x00\x00\xff\xff", "fixed": "\x02\x08\x20\x80\x00", "streams": "\x03\x00",
	} {
		b := bytes.Repeat([]byte(block), 60<<10/len(block))
		c.Send(compressed(perch.Text, append(b, 0)))
		op, p := c.NextMessage()
		if op != perch.Text || len(p) != 0 {
			t.Errorf("%s: %v of %d bytes", name, op, len(p))
		}
	}
	c.Send(wstest.Frame{Op: perch.Text, Rsv: 4, More: true})
	for i := range 1022 { // frames that say nothing are bounded as well
		c.Send(wstest.Frame{Op: frame.OpContinuation, Payload: []byte{}, More: true})
		if i%100 == 0 {
			c.Send(wstest.Ping(fmt.Sprint(i)))
			c.ExpectPong(fmt.Sprint(i))
		}
	}
	c.Send(wstest.Frame{Op: frame.OpContinuation, Payload: []byte{0}})
	c.ExpectText("")
	c.CloseHandshake(perch.CloseNormal)
}

// A peer that goes away, or is closed, in the middle of a compressed message.
func TestDeflateCloseWithin(t *testing.T) {
	var d deflater
	p := d.deflate(t, []byte(talk(1, 5000)))
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Close(perch.CloseNormal, "enough") },
		OnClose:   func(_ perch.Conn, err *perch.CloseError) { closed <- err },
	})
	half := wstest.Frame{Op: perch.Text, Payload: p[:100], Rsv: 4, More: true}
	rest := wstest.Frame{Op: frame.OpContinuation, Payload: p[100:]}

	c := dialDeflate(t, srv, offer, noTakeover)
	c.Send(half, wstest.Close(perch.CloseNormal, "bye"))
	c.ExpectClose(perch.CloseNormal)
	c.ExpectEOF()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseNormal || !err.Remote {
		t.Errorf("closed with %v", err)
	}
	c = dialDeflate(t, srv, offer, noTakeover)
	c.Send(half)
	c.Close()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != frame.CloseAbnormal {
		t.Errorf("closed with %v", err)
	}
	// After our close frame messages are not looked at, corrupt or not.
	c = dialDeflate(t, srv, offer, noTakeover)
	c.Send(wstest.Text("close"), half, rest, compressed(perch.Text, []byte("garbage")))
	c.AnswerClose(perch.CloseNormal)
	if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseNormal || err.Remote || err.Err != nil {
		t.Errorf("closed with %v", err)
	}
}

// A handler that panics over an inflated message costs its own connection.
func TestDeflatePanic(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			if len(p) == 2000 {
				panic("two thousand")
			}
			c.Send(op, p)
		},
	})
	a, b := dialDeflate(t, srv, offer, noTakeover), dialDeflate(t, srv, offer, noTakeover)
	var d deflater
	a.Send(compressed(perch.Text, d.deflate(t, []byte(talk(1, 2000)))))
	a.ExpectFail(perch.CloseInternalError)
	p := []byte(talk(2, 2500))
	b.Send(compressed(perch.Text, d.deflate(t, p)))
	got, err := b.Next()
	if err != nil || !bytes.Equal(d.inflate(t, got.Payload), p) {
		t.Fatalf("%v, %v", got, err)
	}
	b.CloseHandshake(perch.CloseNormal)
	if _, err := io.ReadAll(b.TCP()); err != nil {
		t.Error(err)
	}
}
