package main

import (
	"net"
	"net/http"
	"strings"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

// Open mode: no key is configured, so whoever reaches perchd may use it. That must be nobody but
// programs of this machine, and no page of somebody else in a browser of this machine.

// keepLocal refuses to listen where other machines reach us. It looks names up, and what it has
// looked at is what will be listened on. A unix socket is of this machine.
func keepLocal(c *config.Config, inherited net.Addr) error {
	if strings.HasPrefix(c.Engine.Addr, "unix:") || inherited != nil && inherited.Network() == "unix" {
		return nil
	}
	if inherited != nil {
		return localOrNot(c, "listen", inherited.String())
	}
	a, err := localAddress(c, "listen", c.Engine.Addr)
	if err != nil {
		return err
	}
	c.Engine.Addr = a
	return nil
}

// localAddress is the address that a key says, looked up; an error if other machines reach it.
func localAddress(c *config.Config, key, addr string) (string, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", c.Errorf(key, "%w", err)
	}
	return a.String(), localOrNot(c, key, a.String())
}

// localOrNot is an error about addr if other machines reach it.
func localOrNot(c *config.Config, key, addr string) error {
	if auth.LoopbackListen(addr) {
		return nil
	}
	return c.Errorf(key, "%s is reached by other machines, and without a key everybody may use perchd: "+
		"set auth-key, auth-jwks-file or auth-jwks-url, or listen on 127.0.0.1", addr)
}

// wrongHost answers requests that name another host: of a page of evil.example whose name was made
// to resolve to 127.0.0.1 after it was loaded (DNS rebinding).
const wrongHost = "perchd runs without a key: it answers to localhost, names below localhost, 127.0.0.1 and ::1 alone"

// localUpgrade is perch.Handler.OnUpgrade.
func localUpgrade(r *perch.Request) perch.Response {
	if !auth.LoopbackHost(r.Host()) {
		return perch.Reject(http.StatusForbidden, wrongHost)
	}
	return perch.Response{}
}

// localHandler is localUpgrade for endpoints that know nothing of it.
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

// devKey is the key that tokens are verified with in open mode, and its file.
func devKey(c *config.Config) (key auth.Key, path string, err error) {
	path = c.Auth.DevKeyFile
	if path == "" {
		if path, err = auth.DevKeyPath(); err != nil {
			return key, path, c.Errorf("auth-dev-key", "%w", err)
		}
	}
	if key, err = auth.DevKey(path); err != nil {
		err = c.Errorf("auth-dev-key", "%w", err)
	}
	return key, path, err
}
