//go:build linux

package perch

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"

	"github.com/perchws/perch/handshake"
)

// What a takeover needs of net/http and its connections: see takeover.go.

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
func socketOf(conn net.Conn) (syscall.RawConn, error) {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c.SyscallConn()
	case *net.UnixConn:
		return c.SyscallConn()
	case *webConn: // its head is for unread
		return socketOf(c.Conn)
	}
	return nil, fmt.Errorf("%w: %T is neither *net.TCPConn nor *net.UnixConn", ErrHijack, conn)
}

// unread is what the client has sent behind its request and net/http has read.
func unread(r *bufio.Reader, conn net.Conn) ([]byte, error) {
	b, _ := r.Peek(r.Buffered())
	b = slices.Clone(b)
	if c, ok := conn.(*webConn); ok {
		b = append(b, c.head...)
	}
	if len(b) > 2*readBudget {
		return nil, fmt.Errorf("%w: %d bytes are buffered", ErrHijack, len(b))
	}
	return b, nil
}
