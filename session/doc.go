// Package session keeps facts that must outlive a connection: the client's user, and a little data. A connection that
// breaks detaches its session; a new connection that shows the session's key takes it over.
//
// [Store] is the interface that a server uses, [Memory] the store of one process, [Async] a store that may wait, as
// one of several processes does.
//
//	store := session.NewMemory(session.Config{})
//	s, err := store.Create(ctx, session.New{ConnectionID: conn, UserID: user, Authenticated: true})
//	…                                                  // s.ID.Text() goes to the client
//	err = store.Detach(ctx, s.ID, conn)                // the connection broke
//	key, err := session.ParseKey(text)                 // a client comes back with it
//	s, replaced, err := store.Attach(ctx, session.Claim{Key: key, ConnectionID: conn2, UserID: user})
//	…                                                  // close the connection named replaced with 3500
//	err = store.End(ctx, s.ID, conn2)                  // a normal close
//
// # Life of a session
//
// It is attached while a connection holds it, from Create or Attach to Detach.
// An attached session does not expire. A detached one expires when it has not
// been touched for [Config.TTL] (24 h), or [Config.AnonymousTTL] (5 minutes) if
// its user was not authenticated; Create without a connection makes a detached
// one. Create, Get, Update, Attach and Detach touch. A session that has expired
// does not exist: [ErrNotFound].
//
// A connection holds a session until another attaches. Then its Detach, End and Keep answer [ErrReplaced] and change
// nothing, so that the late calls of a connection that was replaced do no harm to its successor. Delete and EndOthers
// do not ask for the holder: they are for logout and for administrators.
//
// # Keys
//
// A key opens its session for anybody, so it is never shown by accident: the String and LogValue of a [Key] are
// redacted, and so is the LogValue of a [Session]. The JSON of a Session has the whole key: it is for the session's
// owner.
//
// # Client data
//
// Clients may change the Data, by Update, and nothing else. It is a JSON object, bounded in size ([MaxData]) and
// depth ([MaxDepth]). The State is for facts that the server needs when a session is resumed (names, rooms); clients
// neither see nor change it.
//
// # Goroutines, time and memory
//
// Every method may be called by any goroutine. Memory never blocks for longer
// than a short critical section and may be called by event loops; Update parses
// up to MaxData bytes of JSON outside of it. A store that waits for a network is
// an [Async]: event loops ask it with a function that goes on with the answer,
// and goroutines that may wait call it through [Sync]. There is no goroutine and no
// timer here: the caller runs [Memory.Sweep] once in a while. Strings given to
// a store are copied; a [Session] is a snapshot and stays as it is.
//
// # Not guaranteed
//
// A store may drop detached sessions when it is short of memory. It drops the oldest first; but if a user or address
// has more than twice as much as the owner of the oldest, it drops one of that user or address. So nobody can have
// the sessions of others dropped. Attached sessions are never dropped: then Create, Update and the like answer
// [ErrFull].
package session
