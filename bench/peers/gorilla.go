package main

import (
	"compress/flate"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// serveGorilla: the read buffer is the one of net/http, write buffers come from
// a pool, and the reading goroutine is a new one, so that the request and the
// grown stack of the handler are not kept.
func serveGorilla(ln net.Listener, o options) error {
	up := &websocket.Upgrader{
		HandshakeTimeout:  handshakeTime,
		WriteBufferPool:   new(sync.Pool),
		CheckOrigin:       func(*http.Request) bool { return true },
		EnableCompression: o.deflate,
	}
	open := func(w http.ResponseWriter, r *http.Request) (gorillaConn, bool) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return gorillaConn{}, false // it has answered
		}
		c.SetReadLimit(maxMessage)
		if o.deflate {
			_ = c.SetCompressionLevel(flate.BestSpeed)
		}
		return gorillaConn{c, o}, true
	}
	members := newRoom(func(c *websocket.Conn) { c.Close() })
	return serveHTTP(ln, func(w http.ResponseWriter, r *http.Request) {
		if c, ok := open(w, r); ok {
			go c.read(func(kind int, p []byte) error {
				c.choose(p)
				return c.WriteMessage(kind, p)
			})
		}
	}, func(w http.ResponseWriter, r *http.Request) {
		c, ok := open(w, r)
		if !ok {
			return
		}
		members.join(c.Conn)
		go func() {
			defer members.leave(c.Conn)
			c.read(func(kind int, p []byte) error {
				if kind != websocket.TextMessage {
					return nil
				}
				m, err := websocket.NewPreparedMessage(kind, p)
				if err != nil {
					return err
				}
				members.publish(func(to *websocket.Conn) error {
					gorillaConn{to, o}.choose(p)
					return to.WritePreparedMessage(m)
				})
				return nil
			})
		}()
	})
}

type gorillaConn struct {
	*websocket.Conn
	o options
}

// choose compresses what is long enough.
func (c gorillaConn) choose(p []byte) {
	if c.o.deflate {
		c.EnableWriteCompression(len(p) >= c.o.threshold)
	}
}

// read calls handle for every message until that or the connection fails.
func (c gorillaConn) read(handle func(kind int, p []byte) error) {
	defer c.Close()
	readAll(c.NextReader, handle)
}
