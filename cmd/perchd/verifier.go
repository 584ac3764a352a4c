package main

import (
	"errors"
	"log/slog"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

// newVerifier makes the verifier of tokens: with the keys of the configuration, or in open mode with the development
// key. If checked is set, nothing is fetched or made, and it returns no verifier.
func newVerifier(c *config.Config, log *slog.Logger, checked bool, on base) (*auth.Verifier, error) {
	a := auth.Config{
		KeySetFile: c.Auth.KeySetFile, KeySetURL: c.Auth.KeySetURL,
		Audience: c.Auth.Audience, Issuer: c.Auth.Issuer, Leeway: c.Auth.Leeway, Logger: log,
		Clock: on.clock, Entropy: on.entropy,
	}
	var errs []error
	var err error
	if a.Keys, err = loadKeys(c); err != nil {
		errs = append(errs, err)
	}
	switch {
	case c.Open() && checked:
		return nil, checkDevKey(c)
	case c.Open():
		key, path, err := devKey(c, log)
		if err != nil {
			return nil, err
		}
		a.Keys = append(a.Keys, key)
		log.Warn("no key is configured: perchd runs open, whoever can use this machine may use it; set auth-key to change that",
			"development_key", path, "try", "perchd token")
	}
	set := auth.Config{KeySetFile: a.KeySetFile, KeySetURL: a.KeySetURL}
	if set.KeySetFile+set.KeySetURL != "" {
		if err := set.Check(); err != nil { // apart from the keys, so that all faults are told
			errs = append(errs, c.Errorf(keySetKey(c), "%w", err))
		}
	}
	if len(errs) > 0 || checked {
		return nil, errors.Join(errs...)
	}
	v, err := auth.New(a)
	if err != nil && set.KeySetFile+set.KeySetURL != "" {
		err = c.Errorf(keySetKey(c), "%w", err)
	}
	return v, err
}

// keySetKey is the key that names the JWK set.
func keySetKey(c *config.Config) string {
	if c.Auth.KeySetFile != "" {
		return "auth-jwks-file"
	}
	return "auth-jwks-url"
}

// loadKeys reads the keys that verify. A private half is refused: it is for
// signing, and a server only verifies.
func loadKeys(c *config.Config) (keys []auth.Key, err error) {
	var errs []error
	for _, f := range c.Auth.Keys {
		key, err := auth.LoadKey(f.ID, f.Path)
		switch {
		case err != nil:
			errs = append(errs, c.Errorf("auth-key", "%w", err))
		case key.Private():
			errs = append(errs, c.Errorf("auth-key", "%s is a private key, and perchd only verifies: give it the public half (openssl pkey -in %s -pubout)", f.Path, f.Path))
		default:
			keys = append(keys, key)
		}
	}
	return keys, errors.Join(errs...)
}
