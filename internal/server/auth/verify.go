package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
)

// Defaults of Config.
const (
	DefaultLeeway     = 30 * time.Second
	DefaultRefresh    = 5 * time.Minute
	DefaultRefreshGap = 10 * time.Second
	DefaultTimeout    = 10 * time.Second
)

// Config describes the tokens that are good. A zero field means its default.
type Config struct {
	Keys []Key
	// KeySetFile and KeySetURL, at most one of them, is a JWK set (RFC 7517 §5). The URL must be
	// https, or http on a loopback address.
	KeySetFile, KeySetURL string
	Refresh               time.Duration // between loads of the key set
	// The shortest time between two loads, however many unknown keys are named. For that time an unknown key is
	// refused.
	RefreshGap time.Duration
	Timeout    time.Duration // of one load of KeySetURL, body included
	HTTP       *http.Client  // for KeySetURL; nil: one that trusts the system's roots

	Audience      []string      // a token must be for one of these; empty: not checked
	Issuer        string        // a token must be from this one; empty: not checked
	WithoutExpiry bool          // tokens without exp are good, for ever
	Leeway        time.Duration // between our clock and the issuer's; −1: none

	Revocations Revocations // nil: no token is revoked

	Logger  *slog.Logger   // about the keys; nil: nothing is logged
	Clock   clock.Clock    // tokens go by its time of day, loads by its monotonic time; nil: the real one
	Entropy entropy.Source // source of random numbers; nil: the system's
}

// Verifier checks tokens. Make one with New, and Close it.
type Verifier struct {
	// Immutable after New.
	cfg    Config
	parser *jwt.Parser
	source *source // nil without a key set

	// Atomic: any goroutine.
	ring atomic.Pointer[keyring]

	mu  sync.Mutex // guards the parts of the ring
	own []Key      // Config.Keys, or those of SetKeys
	set []Key      // of the key set
}

// New makes a Verifier. A key set in a file must be good now. One at a URL is loaded in the background; before that
// its keys are unknown (see Ready).
func New(c Config) (*Verifier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: c, parser: jwt.NewParser(
		jwt.WithValidMethods(algorithms()),
		jwt.WithStrictDecoding(),      // a token has only one spelling
		jwt.WithoutClaimsValidation(), // check does that, with our errors
	)}
	v.setKeys(c.Keys)
	if c.KeySetFile != "" || c.KeySetURL != "" {
		if v.source, err = newSource(c, v.publish); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Check returns the error that New would return, or nil. It fetches nothing.
func (c Config) Check() error {
	c, err := c.withDefaults()
	switch {
	case err != nil:
		return err
	case c.KeySetURL != "":
		_, err = newFetcher(c.KeySetURL, c.HTTP)
	case c.KeySetFile != "":
		var set []byte
		if set, err = readFile(c.KeySetFile, maxKeySet); err == nil {
			_, _, err = parseKeySet(set, true)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", c.KeySetFile, err)
		}
	}
	return err
}

// SetKeys replaces Config.Keys, by at least one key if there is no key set. Tokens that were good are not checked
// again. Any goroutine may call it.
func (v *Verifier) SetKeys(keys []Key) error {
	c := v.cfg
	c.Keys = keys
	if err := c.checkKeys(); err != nil {
		return err
	}
	v.setKeys(slices.Clone(keys))
	return nil
}

// Reload loads the key set anew at once, in the background, if there is one. Any goroutine may call it.
func (v *Verifier) Reload() {
	if v.source != nil {
		v.source.reload()
	}
}

func (v *Verifier) setKeys(keys []Key) {
	for _, k := range keys {
		v.cfg.Logger.Info("a key verifies tokens", "key", k)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.own = keys
	v.ring.Store(newKeyring(v.own, v.set))
}

// publish replaces the keys of the set.
func (v *Verifier) publish(keys []Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.set = keys
	v.ring.Store(newKeyring(v.own, v.set))
}

// checkKeys refuses invalid keys, and a Config without any.
func (c Config) checkKeys() error {
	for _, k := range c.Keys {
		if k.method == nil {
			return errors.New("auth: a zero Key")
		}
	}
	if len(c.Keys) == 0 && c.KeySetFile == "" && c.KeySetURL == "" {
		return errors.New("auth: no key")
	}
	return nil
}

func (c Config) withDefaults() (Config, error) {
	if err := c.checkKeys(); err != nil {
		return c, err
	}
	switch {
	case c.KeySetFile != "" && c.KeySetURL != "":
		return c, errors.New("auth: a key set has a file or a URL, not both")
	case c.Refresh < 0 || c.RefreshGap < 0 || c.Timeout < 0:
		return c, errors.New("auth: negative duration")
	}
	for d, standard := range map[*time.Duration]time.Duration{&c.Leeway: DefaultLeeway, &c.Refresh: DefaultRefresh,
		&c.RefreshGap: DefaultRefreshGap, &c.Timeout: DefaultTimeout} {
		if *d == 0 {
			*d = standard
		}
	}
	c.Leeway = max(c.Leeway, 0)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = slog.New(RedactHandler(c.Logger.Handler()))
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Entropy == nil {
		c.Entropy = entropy.System{}
	}
	c.Keys, c.Audience = slices.Clone(c.Keys), slices.Clone(c.Audience)
	return c, nil
}

// Close ends the goroutine in the background, and waits for it. Verify goes on with the keys that it has.
func (v *Verifier) Close() {
	if v.source != nil {
		v.source.close()
	}
}

// Ready reports whether the key set has been loaded once, if there is one.
func (v *Verifier) Ready() bool { return v.source == nil || v.source.loaded.Load() != 0 }

// Verify checks a token. The error is an *Error, and does not contain the token. It computes and does not wait: a
// token whose key is not in the key set is refused, with Retry set until the set was fetched anew.
func (v *Verifier) Verify(token string) (Identity, error) {
	if token == "" {
		return Identity{}, ErrMissing
	}
	if len(token) > MaxToken {
		return Identity{}, malformed("token is too long")
	}
	for i := range len(token) {
		if !tokenByte(token[i]) { // encoding/base64 would skip line ends
			return Identity{}, ErrMalformed
		}
	}
	var c claims
	parsed, err := v.parser.ParseWithClaims(token, &c, v.keys)
	if err != nil {
		e := classify(parsed, err)
		if e == ErrBadSignature && v.source != nil && !v.names(parsed) && v.source.ask(token) {
			e = retry(e)
		}
		return Identity{}, e
	}
	if err := v.check(&c); err != nil {
		return Identity{}, err
	}
	id := Identity{Subject: c.sub, Rooms: c.rooms, TokenID: c.jti}
	if !c.exp.IsZero() {
		id.Expires = c.exp.Add(v.cfg.Leeway)
		if last := time.Unix(maxTime, 0); id.Expires.After(last) {
			id.Expires = last
		}
	}
	return id, nil
}

// VerifyWait is Verify for goroutines that may wait, never an event loop: where Verify would set Retry it waits for
// the key set, until ctx ends.
func (v *Verifier) VerifyWait(ctx context.Context, token string) (Identity, error) {
	for {
		var loaded <-chan struct{}
		if v.source != nil {
			loaded = v.source.nextLoad() // before Verify, so that no load is missed
		}
		id, err := v.Verify(token)
		var e *Error
		if !errors.As(err, &e) || !e.Retry {
			return id, err
		}
		select {
		case <-loaded:
		case <-v.source.ctx.Done():
			return id, err
		case <-ctx.Done():
			return id, err
		}
	}
}

// Refresh checks a token that replaces the one of old on the same connection: it must be good, and for the same
// subject.
func (v *Verifier) Refresh(old Identity, token string) (Identity, error) {
	id, err := v.Verify(token)
	if err != nil {
		return Identity{}, err
	}
	if id.Subject != old.Subject {
		return Identity{}, ErrWrongSubject
	}
	return id, nil
}

// keys is the jwt.Keyfunc. Its keys verify only the token's own alg, because every key has one alg.
func (v *Verifier) keys(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok { // RFC 7515 §4.1.11: we understand no extension
		return nil, malformed("token has a critical extension")
	}
	kid, ok := t.Header["kid"].(string)
	if _, present := t.Header["kid"]; present && !ok {
		return nil, malformed("kid is not a string")
	}
	alg := t.Method.Alg()
	keys, stale, err := v.ring.Load().candidates(kid, alg)
	if stale && v.source != nil && v.source.ask(kid+" "+alg) && err != nil {
		err = retry(err) // without err the keys without a name are tried, and the named one is looked for nevertheless
	}
	if err != nil {
		return nil, err
	}
	set := jwt.VerificationKeySet{Keys: make([]jwt.VerificationKey, len(keys))}
	for i, k := range keys {
		set.Keys[i] = k.public
	}
	return set, nil
}

// names reports whether the token names a key that is here: then no other key is meant.
func (v *Verifier) names(t *jwt.Token) bool {
	kid, _ := t.Header["kid"].(string)
	return len(v.ring.Load().byID[kid]) > 0
}

// retry returns e for a token that may be good once the key set was loaded anew.
func retry(e *Error) *Error { return &Error{Code: e.Code, Reason: e.Reason, Retry: true} }

// check checks the claims of a token whose signature is good.
func (v *Verifier) check(c *claims) error {
	if err := c.form(); err != nil {
		return err
	}
	now, leeway := v.cfg.Clock.Wall(), v.cfg.Leeway
	switch {
	case c.exp.IsZero() && !v.cfg.WithoutExpiry:
		return malformed("claim exp is missing")
	case !c.exp.IsZero() && !now.Before(c.exp.Add(leeway)):
		return ErrExpired
	case !c.nbf.IsZero() && now.Before(c.nbf.Add(-leeway)):
		return ErrNotYetValid
	case v.cfg.Issuer != "" && c.iss != v.cfg.Issuer:
		return ErrWrongIssuer
	case len(v.cfg.Audience) > 0 && !slices.ContainsFunc(c.aud, v.accepts):
		return ErrWrongAudience
	case v.revoked(c):
		return ErrRevoked
	}
	return nil
}

func (v *Verifier) accepts(audience string) bool { return slices.Contains(v.cfg.Audience, audience) }

// classify turns an error of the parser into one of ours, without its text, which may have parts of the token.
func classify(t *jwt.Token, err error) *Error {
	var ours *Error
	switch {
	case errors.As(err, &ours):
		return ours
	case t == nil || errors.Is(err, jwt.ErrTokenMalformed):
		return ErrMalformed
	}
	alg, ok := t.Header["alg"].(string)
	switch {
	case !ok:
		return malformed("token without alg")
	case !known(alg):
		return ErrWrongAlgorithm
	}
	return ErrBadSignature
}
