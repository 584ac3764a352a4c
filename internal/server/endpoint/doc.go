// Package endpoint is what all JSON endpoints of perchd share, and the small ones among them:
// /ws/safe, /ws/monitored, /ws/with-session, /ws/reliable and /ws/{client_id}.
//
// A [Realm] is made once and holds what they share: the verifier, the sessions, the clock. An
// [Endpoint] says what one path does beyond that; [Realm.Handler] makes the engine's callbacks of it.
// A [Client] is the state of one connection: who it is, its session, how many errors it has made.
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
// What Handler sees to, so that an Endpoint need not: tokens in every carrier and their expiry,
// refresh_token, the deadline for the first message, messages that are no JSON, errors and how many
// are too many, heartbeats in JSON, the end of the session, metering, and messages that arrive while
// a client waits for an answer (see [Await]).
//
// A client that must not be here is accepted and then closed with a code and a reason, behind an
// error message with a code: a browser cannot read the status of a refused handshake.
//
// # Goroutines
//
// Methods of a Client, and the functions of an Endpoint, run on the connection's loop and must not
// block: what takes its time is awaited. Methods of a Realm may be called by any goroutine.
//
// # Not guaranteed
//
// That a message was received because it was sent without an error: see package perch.
package endpoint
