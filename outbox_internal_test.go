//go:build linux

package perch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/pool"
)

// boxModel drives an outbox and knows what a peer must see of it: every data
// frame in order, pongs only between frames and only the newest of them.
type boxModel struct {
	out    outbox
	bufs   pool.Buffers
	vector sock.Vector
	data   [][]byte // frames not wholly received, in order
	pong   []byte   // the newest that waits
	begun  []byte   // of the frame that got cuts, all that there is to it; nil: at a border
	got    []byte   // received of begun
	seq    uint32   // makes payloads differ
	pongs  int      // received
}

// payload is n bytes that tell one frame from another.
func (m *boxModel) payload(n int) []byte {
	m.seq++
	p := bytes.Repeat([]byte{byte(m.seq), byte(m.seq >> 8), 0x5A}, n/3+1)
	return p[:n]
}

func (m *boxModel) queueOwn(n int, masked bool) {
	f := appendFrame(nil, Binary, m.payload(n), masked, m.seq|1)
	buf := m.out.tail(len(f), &m.bufs)
	buf.B = append(buf.B, f...)
	m.out.grown(len(f))
	m.data = append(m.data, f)
}

func (m *boxModel) queueShared(n int) {
	f := frame.Prepare(Binary, m.payload(n)).Bytes()
	m.out.share(f, &m.bufs)
	m.data = append(m.data, f)
}

func (m *boxModel) queuePong(n int, masked bool) {
	p := m.payload(n)
	m.out.pong(p, masked, m.seq|1)
	m.pong = appendFrame(nil, frame.OpPong, p, masked, m.seq|1)
}

func (m *boxModel) truncate() {
	m.out.truncate(&m.bufs)
	m.pong, m.data = nil, nil
	if m.begun != nil && !isPong(m.begun) {
		m.data = [][]byte{m.begun}
	}
}

func isPong(f []byte) bool { return Opcode(f[0]&0xF) == frame.OpPong }

// cut lets the socket take k bytes at the most of what the outbox offers, which
// is what sendSome would gather.
func (m *boxModel) cut(k int) error {
	o := &m.out
	var offer []byte
	if len(o.ctl) == 0 || o.rest == 0 {
		offer = append(offer, o.ctl...)
		for _, s := range o.segs[o.first:] {
			offer = append(offer, s.b...)
		}
	} else {
		offer = append(offer, o.segs[o.first].b[:o.rest]...)
	}
	offer = offer[:min(k, len(offer))]
	o.sent(len(offer), &m.bufs)
	return m.receive(offer)
}

// receive checks what the peer reads.
func (m *boxModel) receive(b []byte) error {
	for len(b) > 0 {
		if m.begun == nil {
			switch {
			case m.pong != nil && b[0] == m.pong[0]:
				m.begun, m.pong = m.pong, nil
			case len(m.data) > 0:
				m.begun = m.data[0]
			default:
				return fmt.Errorf("byte %#x where nothing was queued", b[0])
			}
		}
		k := min(len(m.begun)-len(m.got), len(b))
		m.got = append(m.got, b[:k]...)
		b = b[k:]
		if !bytes.Equal(m.got, m.begun[:len(m.got)]) {
			return fmt.Errorf("frame of %d bytes differs within its first %d", len(m.begun), len(m.got))
		}
		if len(m.got) < len(m.begun) {
			return nil
		}
		if isPong(m.begun) {
			m.pongs++
		} else {
			m.data = m.data[1:]
		}
		m.begun, m.got = nil, m.got[:0]
	}
	return nil
}

// check compares the outbox's counts with the model's.
func (m *boxModel) check() error {
	bytes, rest := 0, 0
	for _, f := range m.data {
		bytes += len(f)
	}
	if m.begun != nil {
		rest = len(m.begun) - len(m.got)
		if isPong(m.begun) {
			bytes += rest
		} else {
			bytes -= len(m.got)
		}
	}
	switch o := &m.out; {
	case o.bytes != bytes:
		return fmt.Errorf("bytes is %d, want %d", o.bytes, bytes)
	case o.rest != rest:
		return fmt.Errorf("rest is %d, want %d", o.rest, rest)
	case len(o.ctl) != len(m.pong):
		return fmt.Errorf("%d bytes in the control lane, want %d", len(o.ctl), len(m.pong))
	case o.len() != bytes+len(m.pong) || o.empty() != (o.len() == 0):
		return fmt.Errorf("len is %d, empty %v, want %d bytes", o.len(), o.empty(), bytes+len(m.pong))
	}
	return nil
}

// step does what two bytes of a script say.
func (m *boxModel) step(op, arg byte) error {
	n := int(arg)
	if op&0x80 != 0 {
		n *= 300 // up to 76 KB: over a raw send, and over a buffer that is added to
	}
	switch op % 8 {
	case 0, 1:
		m.queueOwn(n, false)
	case 2, 3:
		m.queueShared(n)
	case 4:
		m.queuePong(n%126, false)
	case 5, 6:
		if err := m.cut(n); err != nil {
			return err
		}
	case 7:
		if arg < 32 {
			m.truncate()
		} else if err := m.cut(1); err != nil {
			return err
		}
	}
	return m.check()
}

// run carries out a script, then sends what is left.
func (m *boxModel) run(script []byte) error {
	for i := 0; i+1 < len(script); i += 2 {
		if err := m.step(script[i], script[i+1]); err != nil {
			return fmt.Errorf("step %d (%#x %#x): %w", i/2, script[i], script[i+1], err)
		}
	}
	for !m.out.empty() {
		if err := m.cut(1 << 20); err != nil {
			return err
		}
	}
	if len(m.data) > 0 || m.pong != nil || m.begun != nil {
		return fmt.Errorf("empty with %d frames not received", len(m.data))
	}
	m.out.reset(&m.bufs)
	return m.check()
}

func FuzzOutbox(f *testing.F) {
	f.Add([]byte{0, 5, 4, 3, 5, 2, 5, 200})                         // a pong overtakes at the border
	f.Add([]byte{2, 9, 4, 9, 4, 8, 5, 1, 4, 7, 5, 1, 7, 255, 5, 9}) // the newest pong, cut in its frame
	f.Add([]byte{0, 90, 5, 10, 2, 9, 7, 0, 5, 255})                 // truncated within an own frame
	f.Add([]byte{2, 90, 5, 10, 0, 9, 7, 0, 0, 9, 5, 255})           // truncated within a shared one
	f.Add([]byte{4, 90, 5, 10, 7, 0, 0, 9, 5, 255})                 // truncated within a pong
	f.Add(bytes.Repeat([]byte{2, 1, 0, 1, 2, 0}, 50))               // more segments than one send takes
	f.Add(bytes.Repeat([]byte{0x82, 255, 4, 5, 0x85, 200}, 20))     // large
	f.Fuzz(func(t *testing.T, script []byte) {
		if err := new(boxModel).run(script[:min(len(script), 400)]); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOutboxCuts sends the same frames with every possible cut.
func TestOutboxCuts(t *testing.T) {
	for first := 1; first < 60; first++ {
		for second := 1; second < 40; second += 3 {
			m := new(boxModel)
			m.queueOwn(10, false)
			m.queueShared(7)
			m.queuePong(4, false)
			m.queueOwn(0, true)
			for _, k := range []int{first, second} {
				if err := m.cut(k); err != nil {
					t.Fatalf("cuts at %d, %d: %v", first, second, err)
				}
				m.queuePong(3, false)
				if err := m.check(); err != nil {
					t.Fatalf("cuts at %d, %d: %v", first, second, err)
				}
			}
			if err := m.run(nil); err != nil {
				t.Fatalf("cuts at %d, %d: %v", first, second, err)
			}
			if m.pongs == 0 {
				t.Fatalf("cuts at %d, %d: no pong seen", first, second)
			}
		}
	}
}

// TestOutboxSocket sends through a socket with hardly any room, as a loop does.
func TestOutboxSocket(t *testing.T) {
	fds := pair(t)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	m, full, buf := new(boxModel), 0, make([]byte, 9000)
	for round := 0; round < 400 || !m.out.empty(); round++ {
		if round < 400 {
			for range rng.IntN(4) {
				m.step(byte(rng.IntN(5))|byte(rng.IntN(8)&0x80), byte(rng.IntN(256)))
			}
			if rng.IntN(40) == 0 {
				m.queueShared(200 << 10)
			}
			if rng.IntN(60) == 0 {
				// What the socket holds must be seen first: the model follows the peer.
				for n, _ := sock.Recv(fds[1], buf); n > 0; n, _ = sock.Recv(fds[1], buf) {
					if err := m.receive(buf[:n]); err != nil {
						t.Fatal(err)
					}
				}
				m.truncate()
			}
		}
		before := m.out.len()
		sent, e := m.out.send(fds[0], &m.vector, &m.bufs, flushBudget)
		switch {
		case e == unix.EAGAIN:
			full++
		case e != 0:
			t.Fatal(e)
		case !m.out.empty() && sent < flushBudget:
			t.Fatalf("%d bytes are left, and the socket was not full", m.out.len())
		}
		if m.out.len() != before-sent {
			t.Fatalf("%d bytes queued, %d sent, %d left", before, sent, m.out.len())
		}
		n, _ := sock.Recv(fds[1], buf[:1+rng.IntN(len(buf)-1)])
		if err := m.receive(buf[:n]); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if full == 0 {
		t.Error("the socket was never full: the test shows nothing")
	}
}

// TestOutboxOffer: whatever is left of the frame that is begun, send finishes
// it, and it alone, before a control frame.
func TestOutboxOffer(t *testing.T) {
	fds := pair(t)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	buf := make([]byte, 1000)
	for cut := range 26 { // over three frames of 12, 9 and 5 bytes
		m := new(boxModel)
		m.queueOwn(10, false)
		m.queueShared(7)
		m.queueOwn(3, false)
		if err := m.cut(cut); err != nil {
			t.Fatal(err)
		}
		m.queuePong(4, false)
		before := m.out.len()
		if sent, e := m.out.send(fds[0], &m.vector, &m.bufs, flushBudget); sent != before || e != 0 || !m.out.empty() {
			t.Fatalf("cut at %d: %d of %d bytes sent, %v", cut, sent, before, e)
		}
		n, _ := sock.Recv(fds[1], buf)
		if err := m.receive(buf[:n]); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if m.pongs != 1 || len(m.data) != 0 {
			t.Fatalf("cut at %d: %d pongs, %d frames missing", cut, m.pongs, len(m.data))
		}
	}
}

// TestOutboxSmallShared: what is bounded is bytes, so that what a queue costs
// beside them must be bounded by them.
func TestOutboxSmallShared(t *testing.T) {
	m := new(boxModel)
	for m.out.bytes < 1<<20 {
		m.queueShared(2)
	}
	if most := 64 << 10; cap(m.out.segs)*int(unsafe.Sizeof(segment{})) > most {
		t.Errorf("a queue of 1 MiB in frames of 4 bytes has a list of %d segments, over %d bytes", cap(m.out.segs), most)
	}
	if err := m.run(nil); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		m.out.share(frame.Prepare(Binary, make([]byte, 5000)).Bytes(), &m.bufs)
	}
	m.out.reset(&m.bufs)
	if cap(m.out.segs) > manySegments {
		t.Errorf("an empty outbox keeps a list of %d segments", cap(m.out.segs))
	}
}

// TestOutboxLetsGo: a sent message must not be kept alive by the list's memory.
func TestOutboxLetsGo(t *testing.T) {
	m := new(boxModel)
	for range 4 * manySegments {
		m.queueShared(5000)
	}
	for range 3 * manySegments / 2 {
		if err := m.cut(5004); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range m.out.segs[:cap(m.out.segs)] {
		if (i < m.out.first || i >= len(m.out.segs)) && (s.b != nil || s.own != nil) {
			t.Fatalf("segment %d of %d..%d is still held", i, m.out.first, len(m.out.segs))
		}
	}
	if err := m.run(nil); err != nil {
		t.Fatal(err)
	}
}
