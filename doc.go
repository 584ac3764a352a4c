//go:build linux

// Package perch is an epoll WebSocket engine for very many mostly idle
// connections: a fixed number of event loops, no goroutine, buffer or timer per
// connection, and the RFC 6455 handshake and codec by hand. Linux only.
//
//	srv := perch.New(perch.Config{Addr: "127.0.0.1:8000"})
//	srv.Handle("/ws", perch.Handler{
//		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) },
//	})
//	log.Fatal(srv.ListenAndServe())
//
// # Which goroutine may call
//
// The type shows it. A [Conn] is given to callbacks and may be used only inside a callback of its loop; callbacks of a
// [Handler] run on the loop and must not block: no file or socket I/O, no lock that others hold for long. A [Ref] is
// the same connection for all other goroutines, at any time. Callbacks of a [BlockingHandler] run on the worker pool,
// may block, and get a Ref. Methods of [Server] and [Route] may be called from any goroutine.
//
// # How long slices live
//
// A message is valid until OnMessage returns: the loop overwrites it on its next read. Send copies or sends its
// argument before it returns.
//
// # net/http
//
// [Config.HTTP] serves plain HTTP on the engine's port, on goroutines of net/http. In the other direction, [Route] and
// [Server] are http.Handlers for an existing net/http server: the connection of an upgrade moves to a loop. See
// [Route.Upgrade].
//
// # Closing
//
// OnClose is called once for each connection that OnOpen was called for, with
// the true cause. After it no callback names that connection, and every method
// of its Conn and Ref returns [ErrClosed].
//
// # Not guaranteed
//
// A nil error of a Ref's method means that the loop will see the request, not that the peer will: the connection may
// close first. The same is true of every send: only an answer of the peer shows that it has received the message. The
// kernel spreads connections over the loops, not evenly.
package perch
