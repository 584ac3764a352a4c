//go:build linux

package perch

import (
	"bufio"
	"net"
	"net/http"
	"strings"
)

// webConnKey finds the webConn in the context of a request that came over it.
type webConnKey struct{}

// ServeHTTP makes all of the server's routes an http.Handler, for a net/http
// server of somebody else's: see [Route.Upgrade]. What is for none of them is
// Config.HTTP's.
func (srv *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	route, matched := srv.routing.matchRequest(req)
	switch {
	case route != nil:
		route.upgrade(w, req, matched)
	case srv.cfg.HTTP != nil:
		srv.serveUnrouted(w, req)
	default:
		kind := RefusedPlainHTTP
		if asksForUpgrade(req) {
			kind = RefusedPath
		}
		srv.note(&refused{kind: kind, status: http.StatusNotFound, reason: "not found", http: req})
		http.Error(w, "not found", http.StatusNotFound)
	}
}

// serveUnrouted has Config.HTTP answer a request that is for no route. If it asks for an upgrade, and is answered as
// plain HTTP, the log tells of it as of any refusal: otherwise nothing would tell of a client with a misspelt path.
func (srv *Server) serveUnrouted(w http.ResponseWriter, req *http.Request) {
	own, _ := req.Context().Value(webConnKey{}).(*webConn)
	if own == nil || own.web.srv != srv || !asksForUpgrade(req) { // a foreign server tells of its answers itself
		srv.cfg.HTTP.ServeHTTP(w, req)
		return
	}
	own.noted = false
	a := &answer{ResponseWriter: w}
	srv.cfg.HTTP.ServeHTTP(a, req)
	if a.hijacked || own.noted {
		return
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	srv.note(&refused{kind: RefusedPath, status: a.status, reason: "no route, answered as plain HTTP", http: req})
}

// asksForUpgrade reports whether a request that net/http has parsed is for WebSocket.
func asksForUpgrade(req *http.Request) bool {
	return strings.Contains(strings.ToLower(req.Header.Get("Upgrade")), "websocket")
}

// answer takes note of how a request for an upgrade was answered.
type answer struct {
	http.ResponseWriter
	status   int
	hijacked bool
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker: Config.HTTP may have an upgrade of its own.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	a.hijacked = err == nil
	return conn, buffered, err
}
