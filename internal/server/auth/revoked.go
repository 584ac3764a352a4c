package auth

import "time"

// Revocations tell which tokens are revoked although their signature and time are good. Verify asks about each token
// that would be good, on event loops too: implementations must answer at once, from memory. A token without a jti can
// be revoked by its subject alone.
type Revocations interface {
	// Revoked reports whether the token is revoked: by its id, or with all tokens that were issued to its subject up
	// to a time of day. Any goroutine may call it.
	Revoked(t Revocable) bool
}

// Revocable has the facts of a token by which it may be revoked.
type Revocable struct {
	ID      string    // jti; may be empty
	Subject string    // sub
	Issued  time.Time // iat; zero: the token has none, or none that makes sense
}

// revoked reports whether a token with good claims is revoked.
func (v *Verifier) revoked(c *claims) bool {
	r := v.cfg.Revocations
	return r != nil && r.Revoked(Revocable{ID: c.jti, Subject: c.sub, Issued: c.iat})
}
