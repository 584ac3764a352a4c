//go:build linux

package perch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/room"
)

const offerDeflate = "Sec-WebSocket-Extensions: permessage-deflate"

// words are n bytes that shrink to less than half.
func words(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `{"type":"message","id":"%08x","content":"what is up?","offset":%d}`, r.Uint32(), r.IntN(1000))
	}
	return []byte(b.String()[:n])
}

// deflatePeer is one who speaks permessage-deflate; with windows, if contexts live on.
type deflatePeer struct {
	*peer
	compressor   deflate.Compressor
	decompressor deflate.Decompressor
	out, in      *deflate.Window
}

// encode is the frame of a message as the peer sends it.
func (p *deflatePeer) encode(op Opcode, b []byte) []byte {
	h := frame.Header{Fin: true, Opcode: op, Masked: true, Key: 0x01020304}
	var z []byte
	var ok bool
	if p.out != nil {
		z, ok = p.compressor.CompressNext(nil, b, p.out)
	} else {
		z, ok = p.compressor.Compress(nil, b, 15)
	}
	if ok {
		b, h.Rsv = z, frame.RSV1
	}
	h.Length = int64(len(b))
	wire := append(frame.AppendHeader(nil, h), b...)
	frame.Mask(wire[len(wire)-len(b):], h.Key, 0)
	return wire
}

// nextMessage is next, inflated.
func (p *deflatePeer) nextMessage() (h frame.Header, b []byte, ok bool) {
	p.d.t.Helper()
	if h, b, ok = p.next(); !ok || h.Rsv == 0 {
		return h, b, ok
	}
	var err error
	if p.in != nil {
		b, err = p.decompressor.DecompressNext(nil, b, 0, p.in)
	} else {
		b, err = p.decompressor.Decompress(nil, b, 0)
	}
	if err != nil {
		p.d.t.Fatal(err)
	}
	return h, b, true
}

// A peer that does not read its compressed echoes is not read from, and misses
// nothing; what counts as queued is what goes over the wire.
func TestDeflateBackpressure(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		d := drive(t, Config{MaxOutput: 128 << 10, Rate: unlimitedRate, Compression: Compression{ServerTakeover: takeover, ClientTakeover: takeover}}, func(srv *Server) {
			srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
		})
		p := &deflatePeer{peer: d.open(4<<10, offerDeflate)}
		if takeover {
			p.out, p.in = deflate.NewWindow(15), deflate.NewWindow(15)
		}
		const all = 400
		var unsent []byte
		for i := range all {
			unsent = append(unsent, p.encode(Text, words(uint64(i), 4000+i))...)
		}
		got, paused, most := 0, false, 0
		for turns := 0; got < all; turns++ {
			if n, e := sock.Send(p.fd, unsent); e == 0 {
				unsent = unsent[n:]
			}
			d.turn()
			s := d.l.slab.at(p.slot)
			paused = paused || s.flags&flagPaused != 0
			most = max(most, p.conn().Queued())
			if turns%20 != 0 { // it reads rarely
				continue
			}
			p.read()
			for {
				h, b, ok := p.nextMessage()
				if !ok {
					break
				}
				if h.Rsv != frame.RSV1 || !bytes.Equal(b, words(uint64(got), 4000+got)) {
					t.Fatalf("message %d: %+v, %d bytes", got, h, len(b))
				}
				got++
			}
			if turns > 1e6 {
				t.Fatalf("after %d turns %d messages", turns, got)
			}
		}
		if !paused || most > 128<<10+8000 {
			t.Errorf("paused %t, %d bytes were queued", paused, most)
		}
		if s := &d.l.stats; s.CompressedReceived != all || s.CompressedSent != all || s.MessagesReceived != all {
			t.Errorf("%d of %d messages received, %d sent compressed", s.CompressedReceived, s.MessagesReceived, s.CompressedSent)
		}
	}
}

// TestDeflateAllocations: nothing is allocated for a message, compressed both ways,
// with contexts and without, in fragments and whole.
func TestDeflateAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, cfg := range []Compression{{}, {ServerTakeover: true, ClientTakeover: true}} {
		for _, size := range []int{1024, 4000, 60000} {
			for _, cut := range []bool{false, true} {
				t.Run(fmt.Sprintf("takeover=%t/%d/cut=%t", cfg.ServerTakeover, size, cut), func(t *testing.T) {
					d := drive(t, Config{Rate: unlimitedRate, Compression: cfg}, func(srv *Server) {
						srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
					})
					p := &deflatePeer{peer: d.open(0, offerDeflate)}
					wire := p.encode(Text, words(1, size)) // without a window: it can be sent again
					pieces := [][]byte{wire}
					if cut {
						pieces = [][]byte{wire[:len(wire)/2], wire[len(wire)/2:]}
					}
					buf := make([]byte, 64<<10)
					got := 0
					round := func() {
						for _, b := range pieces {
							p.send(b)
							d.turn()
						}
						n, e := sock.Recv(p.fd, buf)
						if e != 0 || buf[0]&0x40 == 0 {
							t.Fatalf("%v, %x", e, buf[0])
						}
						got += n
					}
					for range 50 { // pools and windows fill
						round()
					}
					if n := testing.AllocsPerRun(300, round); n != 0 {
						t.Errorf("%v allocations for a message", n)
					}
					if got > 351*size/2 {
						t.Errorf("%d bytes came back for 351 messages of %d", got, size)
					}
				})
			}
		}
	}
}

// TestDeflateBroadcastAllocations: a message to many allocates for itself alone, and
// is compressed once.
func TestDeflateBroadcastAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	d := drive(t, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	const members = 20
	var peers []*peer
	for range members {
		peers = append(peers, d.open(0, offerDeflate))
	}
	r := d.audience()
	payload := words(1, 2000)
	buf := make([]byte, 4096)
	rounds := uint64(0)
	round := func() {
		r.Send(room.Frames{Prepare(Text, payload)}, room.ClassMessage)
		d.turn()
		rounds++
		for _, p := range peers {
			if n, _ := sock.Recv(p.fd, buf); n == 0 || n > 1000 || buf[0] != 0xC1 {
				t.Fatalf("a member gets %d bytes, %x", n, buf[0])
			}
		}
	}
	for range 20 {
		round()
	}
	if n := testing.AllocsPerRun(200, round); n > 8 { // the message, its forms, a delivery and the list of its loops
		t.Errorf("%v allocations for a message to %d members", n, members)
	}
	if s := d.l.stats; s.Compressions != rounds || s.CompressedSent != rounds*members {
		t.Errorf("%d compressions, %d sent for %d messages", s.Compressions, s.CompressedSent, rounds)
	}
}

// TestDeflateMemory: of a connection that has compressed, and keeps no context,
// nothing is left but its slot; and of its windows nothing when it is closed.
func TestDeflateMemory(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		d := drive(t, Config{Compression: Compression{ServerTakeover: takeover, ClientTakeover: takeover}}, func(srv *Server) {
			srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
		})
		p := &deflatePeer{peer: d.open(0, offerDeflate)}
		for i := range 3 {
			p.send(p.encode(Text, words(uint64(i), 3000)))
			d.turn()
		}
		s := d.l.slab.at(p.slot)
		if s.cold != 0 || s.flags&flagDeflate == 0 || d.l.stats.CompressedReceived != 3 {
			t.Fatalf("cold %d, flags %x, %d messages", s.cold, s.flags, d.l.stats.CompressedReceived)
		}
		if n := d.l.slab.windows.Pages(); (n != 0) != takeover {
			t.Errorf("takeover %t: %d pages of windows", takeover, n)
		}
		if takeover && d.l.slab.windows.Get(p.slot) == (windows{}) {
			t.Error("no windows")
		}
		p.close()
		d.turns(2)
		if takeover && d.l.slab.windows.Get(p.slot) != (windows{}) {
			t.Error("the windows have stayed")
		}
		d.gone()
		next := d.open(0)
		if s := d.l.slab.at(next.slot); s.agreed != 0 || s.flags&flagDeflate != 0 {
			t.Errorf("a plain connection has agreed to %x", s.agreed)
		}
	}
}

// Idle connections cost the same whether they have agreed on compression or not.
// Those that keep contexts cost as much as their contexts.
func TestDeflateIdleMemory(t *testing.T) {
	if owner.Enabled {
		t.Skip("memory of the race detector")
	}
	const n = 200
	heap := func(header string, takeover bool, say int) float64 {
		d := drive(t, Config{MaxConnections: 2 * n, Compression: Compression{ServerTakeover: takeover, ClientTakeover: takeover}}, func(srv *Server) {
			srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
		})
		warm := &deflatePeer{peer: d.open(0, header)} // pools, the first chunk, the codec
		wire := warm.encode(Text, words(1, 2000))
		plain := frame.AppendMaskedFrame(nil, Text, words(1, 2000), 1)
		talk := func(p *peer) {
			b := wire
			if header != offerDeflate {
				b = plain
			}
			for range say {
				p.send(b)
				d.turn()
				p.read()
				p.got = nil
			}
		}
		talk(warm.peer)
		var before, after runtime.MemStats
		peers := make([]*peer, n)
		runtime.GC()
		runtime.GC() // the pools' second generation too
		runtime.ReadMemStats(&before)
		for i := range peers {
			peers[i] = d.open(0, header)
			talk(peers[i])
		}
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		for _, p := range peers {
			p.close()
		}
		d.turns(3)
		return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / n
	}
	plain, agreed := heap("X-Nothing: 1", false, 3), heap(offerDeflate, false, 3)
	kept := heap(offerDeflate, true, 3)
	t.Logf("a connection that has sent 3 messages: plain %.0f, compressed %.0f, with contexts %.0f bytes (the test's own among them)", plain, agreed, kept)
	if agreed > plain+64 {
		t.Errorf("%.0f bytes, %.0f if plain", agreed, plain)
	}
	if kept-plain > 2*(6000+32)+6000 { // at most twice what was said, for growing, each way
		t.Errorf("%.0f bytes with contexts, %.0f without", kept, plain)
	}
}

// A loop lets go of what it compresses with when nobody has used it for a while.
func TestCodecIdle(t *testing.T) {
	d := drive(t, Config{PingInterval: -1, PingTimeout: -1}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
	})
	p := &deflatePeer{peer: d.open(0, offerDeflate)}
	if p.frame(Text, []byte("small")); d.l.compression.codec != nil {
		t.Error("a codec for nothing")
	}
	say := func() {
		t.Helper()
		p.send(p.encode(Text, words(1, 2000)))
		d.turn()
		p.read()
		for {
			h, b, ok := p.nextMessage()
			if !ok {
				t.Fatal("no echo")
			}
			if h.Rsv != 0 && bytes.Equal(b, words(1, 2000)) {
				return
			}
		}
	}
	say()
	d.pass(codecIdle - time.Second)
	d.turn()
	if d.l.compression.codec == nil {
		t.Fatal("gone too early")
	}
	d.pass(2 * time.Second)
	d.turns(2)
	if d.l.compression.codec != nil {
		t.Error("it has stayed")
	}
	say()
}

// The memory of a huge message does not stay with the loop.
func TestDeflateHugeMessage(t *testing.T) {
	d := drive(t, Config{MaxMessageSize: 8 << 20, MaxOutput: 64 << 20, Rate: unlimitedRate, Compression: Compression{}}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
	})
	p := &deflatePeer{peer: d.open(0, offerDeflate)}
	for _, n := range []int{6 << 20, 2000} {
		want := words(1, n)
		wire := p.encode(Text, want)
		for {
			if len(wire) > 0 {
				k, _ := sock.Send(p.fd, wire)
				wire = wire[k:]
			}
			d.turn()
			p.read()
			if h, b, ok := p.nextMessage(); ok {
				if h.Rsv == 0 || !bytes.Equal(b, want) {
					t.Fatalf("%+v, %d bytes", h, len(b))
				}
				break
			}
		}
	}
	if c := d.l.compression.codec; cap(c.inflated) > keepMessage || cap(c.deflated) > keepMessage {
		t.Errorf("%d and %d bytes are kept", cap(c.inflated), cap(c.deflated))
	}
}
