package main

import (
	"compress/flate"
	"net"
	"net/http"
	"runtime"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// serveNbio: all connections on pollers, one for each CPU, and handlers run by
// them and not by a pool of goroutines, because they do not block. TLS is that of
// its author, a copy of crypto/tls for connections that do not block.
func serveNbio(ln net.Listener, o options) error {
	logging.SetLevel(logging.LevelNone)
	members := newRoom(func(c *websocket.Conn) { go c.Close() }) // calls OnClose
	echo := nbioUpgrader(o, func(c *websocket.Conn, kind websocket.MessageType, p []byte) { _ = nbioWrite(o, c, kind, p) })
	fan := nbioUpgrader(o, func(_ *websocket.Conn, kind websocket.MessageType, p []byte) {
		if kind == websocket.TextMessage {
			members.publish(func(to *websocket.Conn) error { return nbioWrite(o, to, kind, p) })
		}
	})
	fan.OnOpen(members.join)
	fan.OnClose(func(c *websocket.Conn, _ error) { go members.leave(c) }) // maybe called by publish

	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { _, _ = echo.Upgrade(w, r, nil) })
	mux.HandleFunc("/fan", func(w http.ResponseWriter, r *http.Request) { _, _ = fan.Upgrade(w, r, nil) })
	failed := make(chan error, 1)
	config := nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{ln.Addr().String()},
		Listen:                  func(string, string) (net.Listener, error) { return ln, nil },
		IOMod:                   nbhttp.IOModNonBlocking,
		NPoller:                 runtime.NumCPU(),
		MaxLoad:                 1 << 20,
		MaxWriteBufferSize:      2 * maxMessage,
		ReleaseWebsocketPayload: true,
		SupportServerOnly:       true,
		ServerExecutor:          func(f func()) { f() },
		Handler:                 mux,
		OnAcceptError: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		config.Addrs, config.AddrsTLS = nil, config.Addrs
		config.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	engine := nbhttp.NewEngine(config)
	if err := engine.Start(); err != nil {
		return err
	}
	return <-failed
}

func nbioUpgrader(o options, handle func(c *websocket.Conn, kind websocket.MessageType, p []byte)) *websocket.Upgrader {
	up := websocket.NewUpgrader()
	up.CheckOrigin = func(*http.Request) bool { return true }
	up.HandshakeTimeout = handshakeTime
	up.MessageLengthLimit = maxMessage
	up.KeepaliveTime = 0 // no deadline of silence, which a timer for each message would keep
	up.EnableCompression(o.deflate)
	_ = up.SetCompressionLevel(flate.BestSpeed)
	up.OnMessage(handle)
	return up
}

// nbioWrite compresses what is long enough.
func nbioWrite(o options, c *websocket.Conn, kind websocket.MessageType, p []byte) error {
	if o.deflate {
		c.EnableWriteCompression(len(p) >= o.threshold)
	}
	return c.WriteMessage(kind, p)
}
