package auth

import "time"

// Revocations say which tokens are good no more although their signature and their time are. Verify asks them for each
// token that would be good, on event loops too: they answer at once, from memory, whoever else keeps them. A token
// without a jti can be revoked by its subject alone.
type Revocations interface {
	// Revoked reports whether the token is revoked: by itself, or with all that were issued to its subject up to a
	// time of day. Any goroutine.
	Revoked(t Revocable) bool
}

// Revocable is what a revocation of a token may go by.
type Revocable struct {
	ID      string    // jti; may be empty
	Subject string    // sub
	Issued  time.Time // iat; zero: the token does not say, or nothing that makes sense
}

// revoked reports whether a token whose claims are good is revoked.
func (v *Verifier) revoked(c *claims) bool {
	r := v.cfg.Revocations
	return r != nil && r.Revoked(Revocable{ID: c.jti, Subject: c.sub, Issued: c.iat})
}
