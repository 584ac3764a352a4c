package main

import (
	"net"
	"net/http"
	"runtime"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// serveNbio: all connections on pollers, one for each CPU, and handlers run by
// them and not by a pool of goroutines, because they do not block.
func serveNbio(ln net.Listener, _ options) error {
	logging.SetLevel(logging.LevelNone)
	members := newRoom(func(c *websocket.Conn) { go c.Close() }) // calls OnClose
	echo := nbioUpgrader(func(c *websocket.Conn, kind websocket.MessageType, p []byte) { _ = c.WriteMessage(kind, p) })
	fan := nbioUpgrader(func(_ *websocket.Conn, kind websocket.MessageType, p []byte) {
		if kind == websocket.TextMessage {
			members.publish(func(to *websocket.Conn) error { return to.WriteMessage(kind, p) })
		}
	})
	fan.OnOpen(members.join)
	fan.OnClose(func(c *websocket.Conn, _ error) { go members.leave(c) }) // maybe called by publish

	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { _, _ = echo.Upgrade(w, r, nil) })
	mux.HandleFunc("/fan", func(w http.ResponseWriter, r *http.Request) { _, _ = fan.Upgrade(w, r, nil) })
	failed := make(chan error, 1)
	engine := nbhttp.NewEngine(nbhttp.Config{
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
	})
	if err := engine.Start(); err != nil {
		return err
	}
	return <-failed
}

func nbioUpgrader(handle func(c *websocket.Conn, kind websocket.MessageType, p []byte)) *websocket.Upgrader {
	up := websocket.NewUpgrader()
	up.CheckOrigin = func(*http.Request) bool { return true }
	up.HandshakeTimeout = handshakeTime
	up.MessageLengthLimit = maxMessage
	up.KeepaliveTime = 0 // no deadline of silence, which a timer for each message would keep
	up.OnMessage(handle)
	return up
}
