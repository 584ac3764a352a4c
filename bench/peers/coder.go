package main

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// serveCoder: messages are read into a pooled buffer, with a context that cannot
// end, because the library registers a function with any other for each call.
func serveCoder(ln net.Listener, o options) error {
	accept := &websocket.AcceptOptions{
		InsecureSkipVerify:   true, // any Origin
		CompressionMode:      websocket.CompressionDisabled,
		CompressionThreshold: o.threshold,
	}
	if o.deflate {
		accept.CompressionMode = websocket.CompressionNoContextTakeover
	}
	open := func(w http.ResponseWriter, r *http.Request) (*websocket.Conn, bool) {
		c, err := websocket.Accept(w, r, accept)
		if err != nil {
			return nil, false // it has answered
		}
		c.SetReadLimit(maxMessage)
		return c, true
	}
	members := newRoom(func(c *websocket.Conn) { _ = c.CloseNow() })
	forever := context.Background()
	return serveHTTP(ln, func(w http.ResponseWriter, r *http.Request) {
		if c, ok := open(w, r); ok {
			go readCoder(c, func(kind websocket.MessageType, p []byte) error { return c.Write(forever, kind, p) })
		}
	}, func(w http.ResponseWriter, r *http.Request) {
		c, ok := open(w, r)
		if !ok {
			return
		}
		members.join(c)
		go func() {
			defer members.leave(c)
			readCoder(c, func(kind websocket.MessageType, p []byte) error {
				if kind != websocket.MessageText {
					return nil
				}
				members.publish(func(to *websocket.Conn) error { return to.Write(forever, kind, p) })
				return nil
			})
		}()
	})
}

// readCoder calls handle for every message until that or the connection fails.
func readCoder(c *websocket.Conn, handle func(kind websocket.MessageType, p []byte) error) {
	defer c.CloseNow()
	next := func() (websocket.MessageType, io.Reader, error) { return c.Reader(context.Background()) }
	readAll(next, handle)
}
