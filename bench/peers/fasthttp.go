package main

import (
	"compress/flate"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

// serveFastHTTP: gorilla's code on fasthttp's server; write buffers from a pool.
func serveFastHTTP(ln net.Listener, o options) error {
	up := &websocket.FastHTTPUpgrader{
		HandshakeTimeout:  handshakeTime,
		WriteBufferPool:   new(sync.Pool),
		CheckOrigin:       func(*fasthttp.RequestCtx) bool { return true },
		EnableCompression: o.deflate,
	}
	members := newRoom(func(c *websocket.Conn) { _ = c.NetConn().SetDeadline(time.Unix(1, 0)) }) // Close would wait for the handler
	echo := func(c *websocket.Conn) {
		readFastHTTP(c, o, func(kind int, p []byte) error {
			chooseFastHTTP(c, o, p)
			return c.WriteMessage(kind, p)
		})
	}
	fan := func(c *websocket.Conn) {
		members.join(c)
		defer members.leave(c)
		readFastHTTP(c, o, func(kind int, p []byte) error {
			if kind != websocket.TextMessage {
				return nil
			}
			m, err := websocket.NewPreparedMessage(kind, p)
			if err != nil {
				return err
			}
			members.publish(func(to *websocket.Conn) error {
				chooseFastHTTP(to, o, p)
				return to.WritePreparedMessage(m)
			})
			return nil
		})
	}
	srv := &fasthttp.Server{ReadTimeout: handshakeTime, NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/ws":
			_ = up.Upgrade(ctx, echo) // it has answered
		case "/fan":
			_ = up.Upgrade(ctx, fan)
		default:
			ctx.NotFound()
		}
	}}
	return srv.Serve(ln)
}

// chooseFastHTTP compresses what is long enough.
func chooseFastHTTP(c *websocket.Conn, o options, p []byte) {
	if o.deflate {
		c.EnableWriteCompression(len(p) >= o.threshold)
	}
}

// readFastHTTP calls handle for every message until that or the connection fails.
func readFastHTTP(c *websocket.Conn, o options, handle func(kind int, p []byte) error) {
	defer c.Close()
	c.SetReadLimit(maxMessage)
	if o.deflate {
		_ = c.SetCompressionLevel(flate.BestSpeed)
	}
	readAll(c.NextReader, handle)
}
