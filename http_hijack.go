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

	"github.com/perchws/perch/handshake"
)

// What a takeover needs of net/http and its connections: see http_takeover.go.

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

// merged adds what the handlers in front have set; the handshake's own fields are
// left out, as those of a body are.
func merged(outer, inner http.Header) http.Header {
	all := inner.Clone()
	if all == nil {
		all = make(http.Header, len(outer))
	}
	for name, values := range outer {
		for _, v := range values {
			if handshake.ValidField(name, v) {
				all[name] = append(all[name], v)
			}
		}
	}
	return all
}

// socketOf is the socket under a hijacked connection. Only what package net has
// made is known to have nothing buffered on top of it.
func socketOf(conn net.Conn) (net.Conn, syscall.RawConn, error) {
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err := c.SyscallConn()
		return c, raw, err
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		return c, raw, err
	case *webConn: // its head is for unread
		return socketOf(c.socket)
	case *tls.Conn:
		if w, ok := c.NetConn().(*wire); ok && w.socket != nil {
			return socketOf(w.socket)
		}
		return nil, nil, &UpgradeError{http.StatusNotImplemented, "no WebSocket over this TLS listener", ErrTLS}
	}
	return nil, nil, fmt.Errorf("%w: %T is neither *net.TCPConn nor *net.UnixConn", ErrHijack, conn)
}

// wireOf is the TLS of a hijacked connection that socketOf knows; nil: it has
// none.
func wireOf(conn net.Conn) *wire {
	if c, ok := conn.(*webConn); ok {
		conn = c.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn().(*wire)
	}
	return nil
}

// unread is what the client has sent behind its request and net/http has read.
func (t *taking) unread(r *bufio.Reader, conn net.Conn) ([]byte, error) {
	b, _ := r.Peek(r.Buffered())
	b = slices.Clone(b)
	if c, ok := conn.(*webConn); ok {
		b = append(b, c.head...)
	}
	most := 2 * readBudget
	if t.wire != nil {
		most = readBudget // what crypto/tls has read comes on top of it
	}
	if len(b) > most {
		return nil, fmt.Errorf("%w: %d bytes are buffered", ErrHijack, len(b))
	}
	return b, nil
}
