// Package endpoint is the common part of all JSON endpoints of perchd, and has the small ones: /ws/safe,
// /ws/monitored, /ws/with-session, /ws/reliable and /ws/{client_id}.
//
// A [Realm] is made once and has the parts that they share: the verifier, the sessions, the clock. An [Endpoint]
// describes what one path does beyond that; [Realm.Handler] makes callbacks for the engine from it. A [Client] is the
// state of one connection: its user, its session, the number of its errors.
//
//	realm := endpoint.New(endpoint.Config{Auth: verifier, Required: true, Sessions: store, Log: log})
//	defer realm.Close()
//	endpoint.Mount(srv, realm, nil)
//	srv.Handle("/ws/chat", realm.Handler(endpoint.Endpoint{
//		Name:    "chat",
//		First:   register,  // func(conn perch.Conn, c *endpoint.Client, m protocol.Message) error
//		Message: message,   // func(conn perch.Conn, c *endpoint.Client, typ string, m protocol.Message) error
//		Close:   leave,
//	}))
//
// Handler takes care of tokens in every carrier and their expiry, refresh_token, the deadline for the first message,
// messages that are no JSON, errors and their limit, heartbeats in JSON, the end of the session, metering, and
// messages that arrive while a client waits for an answer (see [Await]). An Endpoint need not.
//
// A client that may not be here is accepted and then closed, with a close code and a reason, after an error message
// with a code: a browser cannot read the status of a refused handshake.
//
// # Goroutines
//
// Methods of a Client, and the functions of an Endpoint, run on the connection's loop and must not block: use [Await]
// for slow calls. Any goroutine may call the methods of a Realm.
//
// # Not guaranteed
//
// A message that was sent without an error may not have been received: see package perch.
package endpoint
