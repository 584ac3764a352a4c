package wire

import "net"

// socket is the third life of a wire: net/http uses it as it uses any connection.
type socket struct {
	conn  net.Conn
	first []byte // records to be sent before any other: a loop has sealed them, and its socket was full
}

// ToSocket puts the wire on a socket, from a loop or at first. first are records that the loop has not sent, and go
// before all others: the copy is the wire's. The goroutine that uses the connection from now on calls it.
func (w *Wire) ToSocket(conn net.Conn, first []byte) {
	w.change(onSocket)
	w.out, w.in = nil, nil
	w.socket = &socket{conn, first}
}

// ToLoop puts the wire from a socket on a loop. Records that have not been sent are the begin of the loop's Output. The
// socket is not the wire's any more, and is not closed. Of the loop.
func (w *Wire) ToLoop(loop *Output) {
	loop.check()
	w.change(onLoop)
	loop.B = append(loop.B, w.socket.first...)
	w.out, w.socket = loop, nil
}

// Socket is the socket that the wire is on; nil in its other lives. Of its user.
func (w *Wire) Socket() net.Conn {
	if w.life != onSocket {
		return nil
	}
	return w.socket.conn
}

// write sends first what a loop has sealed and not sent.
func (s *socket) write(p []byte) (int, error) {
	if len(s.first) > 0 {
		n, err := s.conn.Write(s.first)
		if s.first = s.first[n:]; err != nil {
			return 0, err
		}
		s.first = nil
	}
	return s.conn.Write(p)
}
