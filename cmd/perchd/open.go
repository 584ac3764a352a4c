package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

// Open mode: no key is configured, so everybody who reaches perchd may use it. Only programs of this machine may
// reach it (a rule of the configuration), and no foreign page in a browser of this machine.

// wrongHost answers requests that name another host. They come from a page of evil.example whose name was made to
// resolve to 127.0.0.1 after the page was loaded (DNS rebinding).
const wrongHost = "perchd runs without a key: it answers to localhost, names below localhost, 127.0.0.1 and ::1 alone"

// localUpgrade is perch.Handler.OnUpgrade.
func localUpgrade(r *perch.Request) perch.Response {
	if !auth.LoopbackHost(r.Host()) {
		return perch.Reject(http.StatusForbidden, wrongHost)
	}
	return perch.Response{}
}

// localHandler adds localUpgrade to a handler.
func localHandler(h perch.Handler) perch.Handler {
	next := h.OnUpgrade
	h.OnUpgrade = func(r *perch.Request) perch.Response {
		if resp := localUpgrade(r); resp.Status != 0 || next == nil {
			return resp
		}
		return next(r)
	}
	return h
}

// localHTTP is the same for plain HTTP.
func localHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !auth.LoopbackHost(r.Host) {
			http.Error(w, wrongHost, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// devKey returns the key that tokens are verified with in open mode, and its file. If the default file cannot be
// written, as in a container without a home, the key is for this run alone and the path is "".
func devKey(c *config.Config, log *slog.Logger) (key auth.Key, path string, err error) {
	path, err = devKeyPath(c)
	if err == nil {
		if key, err = auth.DevKey(path); err == nil {
			return key, path, nil
		}
	}
	if mustKeepDevKey(c, path) {
		return key, path, c.Errorf("auth-dev-key", "%w", err)
	}
	log.Warn("the development key cannot be kept: it is for this run, and perchd token does not know it; name a file with auth-dev-key to change that", "error", err)
	key, err = auth.RandomKey()
	return key, "", err
}

// checkDevKey returns the error that devKey would return.
func checkDevKey(c *config.Config) error {
	path, err := devKeyPath(c)
	if err == nil {
		err = auth.CheckDevKey(path)
	}
	if err != nil && mustKeepDevKey(c, path) {
		return c.Errorf("auth-dev-key", "%w", err)
	}
	return nil
}

func devKeyPath(c *config.Config) (string, error) {
	if c.Auth.DevKeyFile != "" {
		return c.Auth.DevKeyFile, nil
	}
	return auth.DevKeyPath()
}

// mustKeepDevKey reports whether no other key will do: the file is configured, or it exists.
func mustKeepDevKey(c *config.Config, path string) bool {
	if c.Auth.DevKeyFile != "" {
		return true
	}
	_, err := os.Lstat(path)
	return err == nil
}
