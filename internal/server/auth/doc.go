// Package auth finds out who a client is. A [Verifier] turns a token, a JSON Web Token (RFC 7519), into an [Identity]
// or into an [Error] with a stable code; [Token] finds the token in a request; [Redact] and [RedactHandler] keep it
// out of the logs.
//
//	v, err := auth.New(auth.Config{Keys: keys, Audience: []string{"chat"}})
//	defer v.Close()
//	token, carrier, err := auth.Token(r, "perch_token") // r: *perch.Request
//	id, err := v.Verify(token)                          // a first frame's token goes here too
//	if !id.MayJoin("general") { … }
//	// at id.Expires the caller closes with 3002, unless a refresh came:
//	id, err = v.Refresh(id, newToken)
//
// # Keys
//
// The algorithm belongs to the key and never to the token (RFC 8725 §3.1): a secret verifies HS256, an RSA key RS256,
// a P-256 key ES256, an Ed25519 key EdDSA, and nothing verifies "none". A token that names a key by kid is checked
// with the keys of that name, or, if there are none, with the keys without a name. A token that names no key is
// checked with all keys of its algorithm, at most [MaxTries]. Keys that a token contains or refers to (jwk, jku, x5c,
// x5u) are ignored.
//
// # Goroutines
//
// Any goroutine may call everything here. Verify computes, and does not wait or do I/O; it takes a short lock if a
// token's key is unknown. So it may run on an event loop. One goroutine in the background loads a key set from a file
// or URL; [Verifier.Close] ends it.
//
// # Left to callers
//
// Callers close connections, answer requests, and decide about permissions other than the rooms of the token.
package auth
