//go:build linux

package perch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
)

// deflateScript is what a peer says: four bytes for each message. It returns the
// wire, and what the server should hear.
func deflateScript(script []byte, takeover bool) (wire []byte, heard []string) {
	p := &deflatePeer{}
	if takeover {
		p.out = deflate.NewWindow(15)
	}
	for ; len(script) >= 4 && len(heard) < 30; script = script[4:] {
		kind, size, seed, cut := script[0], int(script[1])*17, uint64(script[2]), int(script[3])
		op, b := Text, words(seed, size)
		if kind&1 != 0 {
			op = Binary
		}
		if kind&2 != 0 && op == Binary { // what does not shrink
			for i := range b {
				b[i] = byte(i * i * int(seed))
			}
		}
		if kind&4 != 0 {
			wire = append(wire, frame.AppendMaskedFrame(nil, op, b, 7)...) // plain, in between
		} else {
			wire = append(wire, fragments(p.encode(op, b), cut, kind&8 != 0)...)
		}
		heard = append(heard, fmt.Sprintf("%v %d %x", op, len(b), sum(b)))
	}
	return wire, heard
}

// fragments cuts a masked frame of a message into frames of n bytes of payload;
// 0: not at all. A ping may come in between.
func fragments(wire []byte, n int, ping bool) []byte {
	h, size, _ := frame.ParseHeader(wire)
	b := slices.Clone(wire[size:])
	frame.Mask(b, h.Key, 0)
	if n == 0 || len(b) <= n || len(b)/n > 500 {
		return wire
	}
	var all []byte
	for len(b) > 0 {
		k := min(n, len(b))
		h.Length, h.Fin = int64(k), k == len(b)
		all = append(frame.AppendHeader(all, h), b[:k]...)
		frame.Mask(all[len(all)-k:], h.Key, 0)
		b = b[k:]
		h.Opcode, h.Rsv = frame.OpContinuation, 0
		if ping && len(b) > 0 {
			all = frame.AppendMaskedFrame(all, frame.OpPing, []byte("?"), 9)
			ping = false
		}
	}
	return all
}

// sum tells messages apart.
func sum(b []byte) (h uint64) {
	h = 14695981039346656037
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// hears is what a server makes of the pieces of a stream: its messages, and how it
// ends.
func hears(t *testing.T, pieces [][]byte, takeover bool) (heard []string) {
	d := drive(t, Config{Rate: unlimitedRate, Compression: Compression{ServerTakeover: takeover, ClientTakeover: takeover, Threshold: 300}}, func(srv *Server) {
		srv.Handle("/ws", Handler{
			OnMessage: func(c Conn, op Opcode, p []byte) {
				heard = append(heard, fmt.Sprintf("%v %d %x", op, len(p), sum(p)))
				c.Send(op, p)
			},
			OnClose: func(_ Conn, err *CloseError) { heard = append(heard, "closed: "+err.Error()) },
		})
	})
	p := &deflatePeer{peer: d.open(0, offerDeflate)}
	if takeover {
		p.in = deflate.NewWindow(15)
	}
	echoed := 0
	echoes := func() {
		p.read()
		for {
			h, b, ok := p.nextMessage()
			switch {
			case !ok:
				return
			case !h.Opcode.IsData():
			case echoed >= len(heard) || heard[echoed] != fmt.Sprintf("%v %d %x", h.Opcode, len(b), sum(b)):
				t.Fatalf("echo %d: %v of %d bytes is not what was heard", echoed, h.Opcode, len(b))
			default:
				echoed++
			}
		}
	}
	for _, piece := range pieces {
		for len(piece) > 0 && p.state() == stateOpen {
			n := min(len(piece), 32<<10)
			p.send(piece[:n])
			piece = piece[n:]
			d.turn()
			echoes()
		}
	}
	d.turns(3)
	echoes()
	p.close()
	for range 5 {
		d.turn()
	}
	return heard
}

// FuzzDeflateStream: a stream of compressed messages means the same however it is
// cut, what was said if it arrives as it was sent, and what is heard is echoed.
func FuzzDeflateStream(f *testing.F) {
	for _, script := range []string{
		"\x00\x40\x01\x00" + "\x01\xff\x02\x10" + "\x08\x80\x03\x20" + "\x04\x20\x04\x00" + "\x00\x40\x01\x00",
		"\x03\xff\x01\x00" + "\x0b\xf0\x03\x07" + "\x00\x00\x00\x00" + "\x00\x01\x00\x01",
		"\x08\xff\x05\x01" + "\x00\x50\x05\xff" + "\x05\x50\x05\x00" + "\x0c\x50\x05\x01",
	} {
		for mode := range byte(4) {
			f.Add([]byte(script), []byte{1, 2, 3, 50, 100, 200, 0, 255, 7}, mode, uint16(77))
			f.Add([]byte(script), []byte{5, 5, 5, 5, 5, 5, 5, 5, 5}, mode, uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, script, cuts []byte, mode byte, at uint16) {
		takeover, damage := mode&1 != 0, mode&2 != 0
		wire, said := deflateScript(script, takeover)
		if damage && len(wire) > 0 {
			wire[int(at)%len(wire)] ^= 1 << (at % 8)
		}
		whole := hears(t, [][]byte{wire}, takeover)
		var pieces [][]byte
		rest := wire
		for _, n := range cuts[:min(len(cuts), 200)] {
			n := min(int(n)+1, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		cut := hears(t, append(pieces, rest), takeover)
		if !slices.Equal(whole, cut) {
			t.Fatalf("whole:\n%q\ncut:\n%q", whole, cut)
		}
		if !damage && !slices.Equal(whole[:len(whole)-1], said) {
			t.Fatalf("said:\n%q\nheard:\n%q", said, whole)
		}
	})
}
