package main

import (
	"log/slog"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

// newVerifier makes what tells good tokens: with the keys of the configuration, or in open mode
// with the development key.
func newVerifier(c *config.Config, log *slog.Logger) (*auth.Verifier, error) {
	a := auth.Config{
		KeySetFile: c.Auth.KeySetFile, KeySetURL: c.Auth.KeySetURL,
		Audience: c.Auth.Audience, Issuer: c.Auth.Issuer, Leeway: c.Auth.Leeway, Logger: log,
	}
	var err error
	if a.Keys, err = loadKeys(c); err != nil {
		return nil, err
	}
	if c.Open() {
		key, path, err := devKey(c)
		if err != nil {
			return nil, err
		}
		a.Keys = append(a.Keys, key)
		log.Warn("no key is configured: perchd runs open, whoever can use this machine may use it; set auth-key to change that",
			"development_key", path, "try", "perchd token")
	}
	v, err := auth.New(a)
	switch {
	case err == nil:
		return v, nil
	case c.Auth.KeySetFile != "":
		return nil, c.Errorf("auth-jwks-file", "%w", err)
	case c.Auth.KeySetURL != "":
		return nil, c.Errorf("auth-jwks-url", "%w", err)
	}
	return nil, err
}

// loadKeys reads the keys that verify. A private half is refused: who has it signs, and here nobody does.
func loadKeys(c *config.Config) (keys []auth.Key, err error) {
	for _, f := range c.Auth.Keys {
		key, err := auth.LoadKey(f.ID, f.Path)
		if err != nil {
			return nil, c.Errorf("auth-key", "%w", err)
		}
		if key.Private() {
			return nil, c.Errorf("auth-key", "%s is a private key, and perchd only verifies: give it the public half (openssl pkey -in %s -pubout)", f.Path, f.Path)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
