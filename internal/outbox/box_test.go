//go:build linux

package outbox

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
	"golang.org/x/sys/unix"
)

func FuzzBox(f *testing.F) {
	f.Add([]byte{0, 5, 4, 3, 5, 2, 5, 200})                          // a pong overtakes at the border
	f.Add([]byte{2, 9, 4, 9, 4, 8, 5, 1, 4, 7, 5, 1, 15, 255, 5, 9}) // the newest pong, cut in its frame
	f.Add([]byte{2, 9, 4, 9, 9, 8, 5, 1, 9, 7, 5, 30, 4, 2, 5, 99})  // a ping before it, and a new one behind a cut
	f.Add([]byte{0, 90, 5, 10, 2, 9, 8, 0, 5, 255})                  // truncated within a frame of our own
	f.Add([]byte{2, 90, 5, 10, 0, 9, 8, 0, 0, 9, 5, 255})            // truncated within a shared one
	f.Add([]byte{4, 90, 5, 10, 8, 0, 0, 9, 5, 255})                  // truncated within a pong
	f.Add([]byte{2, 90, 10, 10, 4, 9, 10, 200, 10, 200, 0, 9})       // sealed piece by piece
	f.Add([]byte{12, 90, 4, 10, 5, 9, 2, 9, 8, 0, 0, 9, 5, 255})     // raw, then truncated
	f.Add([]byte{13, 20, 4, 10, 5, 9, 8, 0, 0, 9, 5, 255})           // the remainder of a write
	f.Add(bytes.Repeat([]byte{2, 1, 0, 1, 2, 0}, 50))                // more segments than one send takes
	f.Add(bytes.Repeat([]byte{0x82, 255, 4, 5, 0x85, 200}, 20))      // large
	f.Fuzz(func(t *testing.T, script []byte) {
		if err := new(model).run(script[:min(len(script), 400)]); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBoxRandom carries out scripts from seeds, so that plain `go test` sees more than the seeds of the fuzzer.
func TestBoxRandom(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 2*rng.IntN(60))
		for i := range script {
			script[i] = byte(rng.Uint32())
			if i%2 == 0 && rng.IntN(4) > 0 {
				script[i] &^= 0x80 // mostly small
			}
		}
		if err := new(model).run(script); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestBoxCuts sends the same frames with every possible cut.
func TestBoxCuts(t *testing.T) {
	for first := 1; first < 60; first++ {
		for second := 1; second < 40; second += 3 {
			m := new(model)
			m.copied(10, false)
			m.shared(7)
			m.queuePong(4, false)
			m.copied(0, true)
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

// TestBoxControlWaits: whatever is left of the frame that is begun is sent first, alone, and then the control frame
// with all the rest in one call.
func TestBoxControlWaits(t *testing.T) {
	for cut := range 26 { // over three frames of 12, 9 and 5 bytes
		m := new(model)
		m.copied(10, false)
		m.shared(7)
		m.copied(3, false)
		if err := m.cut(cut); err != nil {
			t.Fatal(err)
		}
		m.queuePong(4, false)
		want := 1
		if m.out.unfinished > 0 {
			want = 2
		}
		m.calls = 0
		if err := m.cut(1000); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if m.pongs != 1 || len(m.data) != 0 || m.calls != want {
			t.Fatalf("cut at %d: %d pongs, %d frames missing, %d calls, want %d", cut, m.pongs, len(m.data), m.calls, want)
		}
	}
}

// TestBoxBudget: what is left over waits, and the socket was not full.
func TestBoxBudget(t *testing.T) {
	m := new(model)
	for range 8 {
		m.shared(100 << 10)
	}
	m.room = 1 << 30
	before := m.out.Len()
	sent, e := m.out.Send(m, 0, &m.vector, &m.bufs, 256<<10)
	if e != 0 || sent < 256<<10 || sent >= 256<<10+sock.MaxRaw || m.out.Len() != before-sent {
		t.Errorf("%d bytes sent of %d, errno %v, %d left", sent, before, e, m.out.Len())
	}
	if err := m.run(nil); err != nil {
		t.Error(err)
	}
}

// broken is a socket whose peer is gone after it has taken some bytes.
type broken struct{ *model }

func (b broken) Send(fd int, p []byte) (int, unix.Errno) {
	if n, e := b.model.Send(fd, p); e == 0 {
		return n, 0
	}
	return 0, unix.EPIPE
}

func (b broken) SendVector(fd int, v *sock.Vector) (int, unix.Errno) {
	if n, e := b.model.SendVector(fd, v); e == 0 {
		return n, 0
	}
	return 0, unix.EPIPE
}

// TestBoxBroken: an error of the socket is returned, and what it has not taken stays counted.
func TestBoxBroken(t *testing.T) {
	m := new(model)
	m.copied(10, false)
	m.shared(70 << 10)
	m.shared(70 << 10)
	m.room = 2 * sock.MaxRaw // so that each call before the last is taken whole
	before := m.out.Len()
	sent, e := m.out.Send(broken{m}, 0, &m.vector, &m.bufs, 1<<30)
	if e != unix.EPIPE || sent != 2*sock.MaxRaw || m.out.Len() != before-sent || m.vector.Len() != 0 {
		t.Errorf("errno %v, %d bytes sent of %d, %d left", e, sent, before, m.out.Len())
	}
	if err := m.check(); err != nil {
		t.Error(err)
	}
}

// TestBoxSocket sends through a socket with hardly any room, as a loop does.
func TestBoxSocket(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	const budget = 256 << 10
	rng := rand.New(rand.NewPCG(1, 2))
	m, full, buf := new(model), 0, make([]byte, 9000)
	for round := 0; round < 400 || !m.out.Empty(); round++ {
		if round < 400 {
			for range rng.IntN(4) {
				m.step(byte(rng.IntN(5))|byte(rng.IntN(8)&0x80), byte(rng.IntN(256)))
			}
			if rng.IntN(40) == 0 {
				m.shared(200 << 10)
			}
			if rng.IntN(60) == 0 {
				// What the socket holds must be seen first: the model follows the peer.
				for n, _ := sock.Recv(fds[1], buf); n > 0; n, _ = sock.Recv(fds[1], buf) {
					m.receive(buf[:n])
				}
				m.truncate()
			}
		}
		before := m.out.Len()
		sent, e := m.out.Send(sock.System{}, fds[0], &m.vector, &m.bufs, budget)
		switch {
		case e == unix.EAGAIN:
			full++
		case e != 0:
			t.Fatal(e)
		case !m.out.Empty() && sent < budget:
			t.Fatalf("%d bytes are left, and the socket was not full", m.out.Len())
		}
		if m.out.Len() != before-sent {
			t.Fatalf("%d bytes queued, %d sent, %d left", before, sent, m.out.Len())
		}
		n, _ := sock.Recv(fds[1], buf[:1+rng.IntN(len(buf)-1)])
		if m.receive(buf[:n]); m.err != nil {
			t.Fatalf("round %d: %v", round, m.err)
		}
	}
	if full == 0 {
		t.Error("the socket was never full: the test shows nothing")
	}
}

// TestBoxSmallShared: bytes are bounded, so the cost of a queue beside them must be bounded by them.
func TestBoxSmallShared(t *testing.T) {
	m := new(model)
	for m.out.Queued() < 1<<20 {
		m.shared(2)
	}
	if most := 64 << 10; cap(m.out.segs)*int(unsafe.Sizeof(segment{})) > most {
		t.Errorf("a queue of 1 MiB in frames of 4 bytes has a list of %d segments, over %d bytes", cap(m.out.segs), most)
	}
	if err := m.run(nil); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		m.shared(5000)
	}
	m.out.Reset(&m.bufs)
	if cap(m.out.segs) > manySegments {
		t.Errorf("an empty Box keeps a list of %d segments", cap(m.out.segs))
	}
}

// TestBoxLetsGo: a sent message must not be kept alive by the memory of the list.
func TestBoxLetsGo(t *testing.T) {
	m := new(model)
	for range 4 * manySegments {
		m.shared(5000)
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

// TestBoxSealed: records leave first and in order, count towards limits, and are left alone by what drops the rest.
func TestBoxSealed(t *testing.T) {
	var records []byte
	for i := range 100 << 10 {
		records = append(records, byte(i), byte(i>>8))
	}
	for _, room := range []int{0, 1, 1000, sock.MaxRaw, sock.MaxRaw + 1, len(records) - 1, len(records)} {
		p := &plain{room: room}
		m := new(model)
		m.copied(10, false)
		m.queuePong(4, false)
		first := len(records) / 2
		n, e := SendAll(p, 0, records[:first])
		if want := min(first, room); n != want || (e == 0) != (n == first) || e != 0 && e != unix.EAGAIN {
			t.Fatalf("room for %d: %d sent, %v", room, n, e)
		}
		m.out.KeepRecords(records[n:first], &m.bufs)
		m.out.KeepRecords(records[first:], &m.bufs)
		left := len(m.out.Sealed())
		if left != len(records)-n {
			t.Errorf("%d bytes wait", left)
		}
		if m.out.Counted() != left+12 || m.out.Queued() != 12 || m.out.Len() != left+12+6 {
			t.Errorf("%d bytes counted, %d queued, %d in all", m.out.Counted(), m.out.Queued(), m.out.Len())
		}
		m.out.Sent(3, &m.bufs) // of the pong
		m.out.Truncate(&m.bufs)
		if m.out.Counted() != left+3 {
			t.Errorf("%d bytes counted after Truncate, want the records and the rest of the pong", m.out.Counted())
		}
		m.out.Drop(&m.bufs)
		if m.out.Len() != left {
			t.Errorf("%d bytes are left after Drop", m.out.Len())
		}
		p.room = 10
		n, _ = m.out.SendSealed(p, 0, &m.bufs)
		if n != min(left, 10) || len(m.out.Sealed()) != left-n {
			t.Errorf("%d bytes sent, %d left of %d", n, len(m.out.Sealed()), left)
		}
		p.room = 1 << 30
		if _, e := m.out.SendSealed(p, 0, &m.bufs); e != 0 || string(p.got) != string(records) || !m.out.Empty() {
			t.Errorf("errno %v, %d bytes are left after all was taken", e, m.out.Len())
		}
		p.room = 0
		m.out.KeepRecords(records, &m.bufs)
		m.out.Reset(&m.bufs)
		if !m.out.Empty() {
			t.Errorf("%d bytes are left after Reset", m.out.Len())
		}
	}
}

// plain is a socket that takes whatever it is given.
type plain struct {
	sink
	room int
	got  []byte
}

func (p *plain) Send(_ int, b []byte) (int, unix.Errno) {
	n := min(len(b), p.room)
	if n == 0 {
		return 0, unix.EAGAIN
	}
	p.room -= n
	p.got = append(p.got, b[:n]...)
	return n, 0
}

// TestSendAllBroken: a socket whose peer is gone tells how much it has taken before.
func TestSendAllBroken(t *testing.T) {
	p := &plain{room: 5}
	if n, e := SendAll(brokenPlain{p}, 0, []byte("record")); n != 5 || e != unix.EAGAIN {
		t.Errorf("%d bytes sent, %v", n, e)
	}
	if n, e := SendAll(brokenPlain{p}, 0, []byte("d")); n != 0 || e != unix.EPIPE {
		t.Errorf("%d bytes sent, %v", n, e)
	}
}

type brokenPlain struct{ *plain }

func (b brokenPlain) Send(fd int, p []byte) (int, unix.Errno) {
	if n, e := b.plain.Send(fd, p); e == 0 {
		return n, 0
	}
	return 0, unix.EPIPE
}

// TestBoxAllocations: a queue that has been used before costs no memory for a message.
func TestBoxAllocations(t *testing.T) {
	if checked {
		t.Log("the race detector allocates: the figure is not looked at")
	}
	m := new(model)
	f, pong := m.frame(frame.OpBinary, 128, false), m.frame(frame.OpPong, 4, false)
	round := func() {
		m.out.Started(1)
		m.out.Commit(append(m.out.Extend(len(f), &m.bufs), f...))
		m.out.Share(f, &m.bufs)
		m.out.Pong(pong)
		m.out.Send(sink{}, 0, &m.vector, &m.bufs, 1<<20)
	}
	for range 50 { // the pool fills
		round()
	}
	if n := testing.AllocsPerRun(500, round); n != 0 && !checked {
		t.Errorf("%v allocations for two messages and a pong", n)
	}
}

// sink takes everything.
type sink struct{}

func (sink) Send(_ int, b []byte) (int, unix.Errno)             { return len(b), 0 }
func (sink) SendVector(_ int, v *sock.Vector) (int, unix.Errno) { return v.Len(), 0 }

func BenchmarkBox(b *testing.B) {
	m := new(model)
	f := m.frame(frame.OpBinary, 128, false)
	b.ReportAllocs()
	for b.Loop() {
		m.out.Started(1)
		m.out.Commit(append(m.out.Extend(len(f), &m.bufs), f...))
		m.out.Send(sink{}, 0, &m.vector, &m.bufs, 1<<20)
	}
}
