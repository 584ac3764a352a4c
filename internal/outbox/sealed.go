//go:build linux

package outbox

import (
	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/pool"
)

// sealed is records of TLS that wait for the socket.
type sealed struct {
	own *pool.Buffer // nil: none wait
	at  int          // bytes of own that are sent
}

func (r *sealed) len() int {
	if r.own == nil {
		return 0
	}
	return len(r.own.B) - r.at
}

func (r *sealed) drop(bufs *pool.Buffers) {
	if r.own != nil {
		bufs.Put(r.own)
		*r = sealed{}
	}
}

// Sealed is the records of TLS that wait. They are valid until the Box is used.
func (o *Box) Sealed() []byte {
	if o.sealed.own == nil {
		return nil
	}
	return o.sealed.own.B[o.sealed.at:]
}

// KeepRecords keeps a copy of records that the socket has not taken, behind those that wait already.
func (o *Box) KeepRecords(b []byte, bufs *pool.Buffers) {
	if o.sealed.own == nil {
		o.sealed = sealed{own: bufs.Get()}
	}
	o.sealed.own.B = append(o.sealed.own.B, b...)
}

// SendSealed sends the records that wait, as far as the socket takes them: EAGAIN if that is not all.
func (o *Box) SendSealed(to Writer, fd int, bufs *pool.Buffers) (sent int, errno unix.Errno) {
	sent, errno = SendAll(to, fd, o.Sealed())
	if o.sealed.at += sent; o.sealed.len() == 0 {
		o.sealed.drop(bufs)
	}
	return sent, errno
}

// SendAll sends b as far as the socket takes it: EAGAIN if that is not all.
func SendAll(to Writer, fd int, b []byte) (sent int, errno unix.Errno) {
	for sent < len(b) {
		want := min(len(b)-sent, sock.MaxRaw)
		n, e := to.Send(fd, b[sent:sent+want])
		sent += n
		if e != 0 {
			return sent, e
		}
		if n < want {
			return sent, unix.EAGAIN
		}
	}
	return sent, 0
}
