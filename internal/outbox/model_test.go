//go:build linux

package outbox

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/pool"
)

// model drives a Box, stands for its socket, and knows what a peer must see: every data frame in order, control
// frames only between frames, of pings and pongs only the newest, and the ping first.
type model struct {
	out    Box
	bufs   pool.Buffers
	vector sock.Vector
	data   [][]byte // frames not wholly received, in order
	ping   []byte   // the newest that waits; nil: none
	pong   []byte
	begun  []byte // of the frame that got cuts, all that there is to it; nil: at a border
	got    []byte // received of begun
	seq    uint32 // makes payloads differ
	pings  int    // received
	pongs  int

	room  int   // bytes that the socket takes before it is full
	calls int   // of the socket
	err   error // what the peer has seen that it must not see
}

// Send implements Writer.
func (m *model) Send(_ int, b []byte) (int, unix.Errno) {
	m.calls++
	if len(b) == 0 || len(b) > sock.MaxRaw {
		m.err = fmt.Errorf("%d bytes in one call", len(b))
	}
	n := min(len(b), m.room)
	if n == 0 {
		return 0, unix.EAGAIN
	}
	m.room -= n
	m.receive(b[:n])
	return n, 0
}

// SendVector implements Writer.
func (m *model) SendVector(fd int, v *sock.Vector) (int, unix.Errno) {
	var b []byte
	for s := range v.Slices() {
		b = append(b, s...)
	}
	return m.Send(fd, b)
}

// payload is n bytes that tell one frame from another.
func (m *model) payload(n int) []byte {
	m.seq++
	p := bytes.Repeat([]byte{byte(m.seq), byte(m.seq >> 8), 0x5A}, n/3+1)
	return p[:n]
}

func (m *model) frame(op frame.Opcode, n int, masked bool) []byte {
	if p := m.payload(n); masked {
		return frame.AppendMaskedFrame(nil, op, p, m.seq|1)
	} else {
		return frame.AppendFrame(nil, op, p)
	}
}

// copied queues frames of n bytes, in memory of the Box's own.
func (m *model) copied(n int, masked bool) {
	f := m.frame(frame.OpBinary, n, masked)
	if added := m.out.Commit(append(m.out.Extend(len(f), &m.bufs), f...)); added != len(f) {
		m.err = fmt.Errorf("Commit says %d bytes of %d", added, len(f))
	}
	m.data = append(m.data, f)
}

func (m *model) shared(n int) {
	f := m.frame(frame.OpBinary, n, false)
	if added := m.out.Share(f, &m.bufs); added != len(f) {
		m.err = fmt.Errorf("Share says %d bytes of %d", added, len(f))
	}
	m.data = append(m.data, f)
}

// raw queues bytes that are no frame, where that is allowed.
func (m *model) raw(n int) {
	if n == 0 || m.out.Queued() > 0 || m.ping != nil || m.pong != nil {
		return
	}
	b := append([]byte("HTTP"), m.payload(n)...)
	m.out.ShareRaw(b)
	m.data = append(m.data, b)
}

// remainder queues what a socket has left of a write: raw bytes, then three frames.
func (m *model) remainder(n, sent int) {
	if m.out.Queued() > 0 || m.begun != nil {
		return
	}
	head := append([]byte("HTTP"), m.payload(n)...)
	all := bytes.Clone(head)
	units := [][]byte{head}
	for range 3 {
		f := m.frame(frame.OpBinary, n, n%2 == 0)
		units, all = append(units, f), append(all, f...)
	}
	sent = min(sent, len(all)-1)
	if added := m.out.Remainder(all, len(head), sent, &m.bufs); added != len(all)-sent {
		m.err = fmt.Errorf("Remainder says %d bytes of %d", added, len(all)-sent)
	}
	if m.ping != nil || m.pong != nil { // the socket was given the rest first: the lane came later
		ping, pong := m.ping, m.pong
		m.ping, m.pong = nil, nil
		defer func() { m.ping, m.pong = ping, pong }()
	}
	m.data = append(m.data, units...)
	m.receive(all[:sent])
	clear(all) // it was copied
}

func (m *model) queuePing(n int, masked bool) {
	m.ping = m.frame(frame.OpPing, n, masked)
	m.out.Ping(m.ping)
}

func (m *model) queuePong(n int, masked bool) {
	m.pong = m.frame(frame.OpPong, n, masked)
	m.out.Pong(m.pong)
}

func (m *model) truncate() {
	m.out.Truncate(&m.bufs)
	m.ping, m.pong = nil, nil
	if begun := m.begun != nil && !isControl(m.begun) || m.begun == nil && m.isRaw(); begun {
		m.data = m.data[:1]
	} else {
		m.data = nil
	}
}

func isControl(f []byte) bool { return f[0]&0xF >= byte(frame.OpClose) && f[0] != 'H' }

// isRaw reports that what comes first is no frame.
func (m *model) isRaw() bool { return len(m.data) > 0 && m.data[0][0] == 'H' }

// cut lets the socket take k bytes more, and then be full.
func (m *model) cut(k int) error {
	m.room = k
	before := m.out.Len()
	sent, e := m.out.Send(m, 0, &m.vector, &m.bufs, 1<<30)
	switch {
	case m.err != nil:
		return m.err
	case m.vector.Len() != 0:
		return fmt.Errorf("%d bytes are left in the vector", m.vector.Len())
	case sent != min(k, before) || m.out.Len() != before-sent:
		return fmt.Errorf("%d bytes sent of %d, and %d left; the socket has taken up to %d", sent, before, m.out.Len(), k)
	case m.out.Empty() && e != 0, !m.out.Empty() && e != unix.EAGAIN:
		return fmt.Errorf("errno %v with %d bytes left", e, m.out.Len())
	}
	return nil
}

// seal takes the front as TLS does.
func (m *model) seal(most int) error {
	if m.out.Empty() || most == 0 {
		return nil
	}
	b := m.out.Front(make([]byte, 0, most), most)
	if len(b) == 0 {
		return fmt.Errorf("nothing is in front of %d bytes", m.out.Len())
	}
	m.receive(b)
	m.out.Sent(len(b), &m.bufs)
	return m.err
}

// receive checks what the peer reads.
func (m *model) receive(b []byte) {
	for len(b) > 0 && m.err == nil {
		if m.begun == nil {
			switch {
			case m.ping != nil && b[0] == m.ping[0]: // what is behind it in the lane leaves with it
				m.begun = append(m.ping, m.pong...)
				m.pings++
			case m.ping == nil && m.pong != nil && b[0] == m.pong[0]:
				m.begun = m.pong
			case len(m.data) > 0:
				m.begun = m.data[0]
			default:
				m.err = fmt.Errorf("byte %#x where nothing was queued", b[0])
				return
			}
			if isControl(m.begun) {
				if m.pong != nil {
					m.pongs++
				}
				m.ping, m.pong = nil, nil
			}
		}
		k := min(len(m.begun)-len(m.got), len(b))
		m.got = append(m.got, b[:k]...)
		b = b[k:]
		if !bytes.Equal(m.got, m.begun[:len(m.got)]) {
			m.err = fmt.Errorf("frame of %d bytes differs within its first %d", len(m.begun), len(m.got))
			return
		}
		if len(m.got) < len(m.begun) {
			return
		}
		if !isControl(m.begun) {
			m.data = m.data[1:]
		}
		m.begun, m.got = nil, m.got[:0]
	}
}

// check compares the counts of the Box with the model's.
func (m *model) check() error {
	queued, unfinished := 0, 0
	for _, f := range m.data {
		queued += len(f)
	}
	if m.begun != nil {
		unfinished = len(m.begun) - len(m.got)
		if isControl(m.begun) {
			queued += unfinished
		} else {
			queued -= len(m.got)
		}
	} else if m.isRaw() {
		unfinished = len(m.data[0]) // as if it were begun
	}
	control := len(m.ping) + len(m.pong)
	switch o := &m.out; {
	case m.err != nil:
		return m.err
	case o.Queued() != queued || o.Counted() != queued:
		return fmt.Errorf("%d bytes are queued, %d counted, want %d", o.Queued(), o.Counted(), queued)
	case o.unfinished != unfinished:
		return fmt.Errorf("%d bytes are unfinished, want %d", o.unfinished, unfinished)
	case len(o.control) != control:
		return fmt.Errorf("%d bytes in the control lane, want %d", len(o.control), control)
	case o.Len() != queued+control || o.Empty() != (o.Len() == 0):
		return fmt.Errorf("Len is %d, Empty %v, want %d bytes", o.Len(), o.Empty(), queued+control)
	}
	return nil
}

// step does what two bytes of a script say.
func (m *model) step(op, arg byte) error {
	n := int(arg)
	if op&0x80 != 0 {
		n *= 300 // up to 76 KB: over a raw send, and over a buffer that is added to
	}
	var err error
	switch op & 0x7F % 16 {
	case 0, 1:
		m.copied(n, op&0x40 != 0)
	case 2, 3:
		m.shared(n)
	case 4:
		m.queuePong(n%126, op&0x40 != 0)
	case 5, 6, 7:
		err = m.cut(n)
	case 8:
		m.truncate()
	case 9:
		m.queuePing(n%126, op&0x40 != 0)
	case 10, 11:
		err = m.seal(n)
	case 12:
		m.raw(n)
	case 13:
		m.remainder(n, 2*n)
	case 14:
		m.remainder(n, n/2)
	case 15:
		err = m.cut(1)
	}
	if err != nil {
		return err
	}
	return m.check()
}

// run carries out a script, then sends what is left.
func (m *model) run(script []byte) error {
	for i := 0; i+1 < len(script); i += 2 {
		if err := m.step(script[i], script[i+1]); err != nil {
			return fmt.Errorf("step %d (%#x %#x): %w", i/2, script[i], script[i+1], err)
		}
	}
	for !m.out.Empty() {
		if err := m.cut(1 << 20); err != nil {
			return err
		}
	}
	if len(m.data) > 0 || m.ping != nil || m.pong != nil || m.begun != nil {
		return fmt.Errorf("empty with %d frames not received", len(m.data))
	}
	m.out.Reset(&m.bufs)
	return m.check()
}
