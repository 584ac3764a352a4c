//go:build linux

package perch

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
)

// The parts of a takeover that depend on net/http and its connections: see http_takeover.go.

// hijacked is an error after the hijack: we answer it on the connection, which we still have.
type hijacked struct {
	conn net.Conn
	err  error
}

func (e *hijacked) Error() string { return e.err.Error() }
func (e *hijacked) Unwrap() error { return e.err }

// canHijack looks for the Hijacker where http.ResponseController will.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// socketOf is the socket under a hijacked connection. Only for connections of package net, and ours on them, is it
// certain that they buffer nothing that we cannot see here.
func socketOf(conn net.Conn) (net.Conn, syscall.RawConn, error) {
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err := c.SyscallConn()
		return c, raw, err
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		return c, raw, err
	case *webConn: // unread returns the bytes that it has read ahead
		return socketOf(c.socket)
	case *tls.Conn:
		if t, ok := c.NetConn().(*tlsConn); ok && t.Socket() != nil {
			return socketOf(t.Socket())
		}
		return nil, nil, &UpgradeError{http.StatusNotImplemented, "no WebSocket over this TLS listener", ErrTLS}
	}
	return nil, nil, fmt.Errorf("%w: %T is neither *net.TCPConn nor *net.UnixConn", ErrHijack, conn)
}

// tlsUnder is the TLS of a hijacked connection that socketOf accepts; nil: it has no TLS.
func tlsUnder(conn net.Conn) *tlsConn {
	if c, ok := conn.(*webConn); ok {
		conn = c.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn().(*tlsConn)
	}
	return nil
}

// unread returns the bytes that net/http has read behind the request.
func (t *takeover) unread(r *bufio.Reader, conn net.Conn) ([]byte, error) {
	b, _ := r.Peek(r.Buffered())
	b = slices.Clone(b)
	if c, ok := conn.(*webConn); ok {
		b = append(b, c.ahead...)
	}
	most := 2 * readBudget
	if t.tls != nil {
		most = readBudget // and in addition the bytes that crypto/tls has read
	}
	if len(b) > most {
		return nil, fmt.Errorf("%w: %d bytes are buffered", ErrHijack, len(b))
	}
	return b, nil
}
