package main

import (
	"net"
	"net/http"
	"time"

	"golang.org/x/net/websocket"
)

// serveXNet: a Codec that keeps the kind of a message. It has no buffers to set,
// reads every message into a new slice, and hands on frames, not messages.
func serveXNet(ln net.Listener, _ options) error {
	type message struct {
		kind byte
		p    []byte
	}
	codec := websocket.Codec{
		Marshal:   func(v any) ([]byte, byte, error) { m := v.(*message); return m.p, m.kind, nil },
		Unmarshal: func(p []byte, kind byte, v any) error { *v.(*message) = message{kind, p}; return nil },
	}
	handler := func(h func(*websocket.Conn)) http.HandlerFunc {
		return websocket.Server{Handler: h}.ServeHTTP // no Handshake func: any Origin
	}
	// Close would wait for the write that it is to end.
	members := newRoom(func(c *websocket.Conn) { _ = c.SetDeadline(time.Unix(1, 0)) })
	return serveHTTP(ln, handler(func(c *websocket.Conn) {
		defer c.Close() // sends a close frame; the library does not answer one by itself
		c.MaxPayloadBytes = maxMessage
		var m message
		for codec.Receive(c, &m) == nil && codec.Send(c, &m) == nil {
			m.p = nil
		}
	}), handler(func(c *websocket.Conn) {
		defer c.Close()
		c.MaxPayloadBytes = maxMessage
		members.join(c)
		defer members.leave(c)
		var m message
		for codec.Receive(c, &m) == nil {
			if m.kind == websocket.TextFrame {
				members.publish(func(to *websocket.Conn) error { return codec.Send(to, &m) })
			}
			m.p = nil
		}
	}))
}
