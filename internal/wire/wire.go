package wire

import (
	"net"
	"time"
)

// life says who uses a wire, and how it reads and writes: see the package's comment.
type life uint8

const (
	unused life = iota
	inHandshake
	onLoop
	onSocket
)

// Wire is a net.Conn for crypto/tls. The zero Wire is unused: BeginHandshake or ToSocket begins its first life. It must
// not be copied.
type Wire struct {
	life      life
	calls     calls      // of Read and Write that are under way, in race builds
	out       *Output    // of the loop; nil on a socket
	in        []byte     // on a loop: what it has read and crypto/tls has not; nil outside of a read
	handshake *handshake // nil but in a handshake
	socket    *socket    // nil but on a socket
}

// change begins the next life. In race builds it panics if that is not its turn, or if a call is under way.
func (w *Wire) change(to life) {
	w.calls.none(w.life, to)
	w.life = to
}

// Read implements net.Conn.
func (w *Wire) Read(p []byte) (n int, err error) {
	w.calls.begin()
	n, err = w.read(p)
	w.calls.end()
	return n, err
}

func (w *Wire) read(p []byte) (int, error) {
	switch w.life {
	case onLoop:
		return w.readInput(p)
	case inHandshake:
		return w.handshake.read(p)
	case onSocket:
		return w.socket.conn.Read(p)
	}
	return 0, net.ErrClosed
}

// Write implements net.Conn.
func (w *Wire) Write(p []byte) (n int, err error) {
	w.calls.begin()
	n, err = w.write(p)
	w.calls.end()
	return n, err
}

func (w *Wire) write(p []byte) (int, error) {
	switch w.life {
	case onLoop:
		return w.out.write(p)
	case inHandshake:
		return w.handshake.write(p)
	case onSocket:
		return w.socket.write(p)
	}
	return 0, net.ErrClosed
}

// Close implements net.Conn. It closes a socket that the wire is on; a loop, and nobody else, closes its connections.
func (w *Wire) Close() error {
	if w.life == onSocket {
		return w.socket.conn.Close()
	}
	return nil
}

// LocalAddr implements net.Conn, for callbacks of a tls.Config. A wire on a loop does not know it.
func (w *Wire) LocalAddr() net.Addr {
	switch w.life {
	case inHandshake:
		return w.handshake.local
	case onSocket:
		return w.socket.conn.LocalAddr()
	}
	return &net.TCPAddr{}
}

// RemoteAddr implements net.Conn, for callbacks of a tls.Config. A wire on a loop does not know it.
func (w *Wire) RemoteAddr() net.Addr {
	switch w.life {
	case inHandshake:
		return w.handshake.remote
	case onSocket:
		return w.socket.conn.RemoteAddr()
	}
	return &net.TCPAddr{}
}

// SetDeadline implements net.Conn: that of a socket. A loop keeps the time of its connections by itself, and the
// deadlines that crypto/tls sets there have no effect.
func (w *Wire) SetDeadline(t time.Time) error {
	if w.life == onSocket {
		return w.socket.conn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn: see SetDeadline.
func (w *Wire) SetReadDeadline(t time.Time) error {
	if w.life == onSocket {
		return w.socket.conn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn: see SetDeadline.
func (w *Wire) SetWriteDeadline(t time.Time) error {
	if w.life == onSocket {
		return w.socket.conn.SetWriteDeadline(t)
	}
	return nil
}
