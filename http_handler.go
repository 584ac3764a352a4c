//go:build linux

package perch

import (
	"bufio"
	"net"
	"net/http"
	"strings"
)

// ServeHTTP makes all of the server's routes an http.Handler, for a net/http server of somebody else's: see
// [Route.Upgrade]. A request for none of them goes to Config.HTTP.
//
// The engine's own net/http has it too: a loop has seen only the first request of a connection.
func (srv *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	own := ownConn(srv, req)
	if own != nil && req.TLS == nil {
		req.TLS = own.state() // net/http knows of a *tls.Conn alone
	}
	route, matched := srv.routing.matchRequest(req)
	switch {
	case route != nil:
		route.upgrade(w, req, matched)
	case srv.cfg.HTTP != nil && own != nil && asksForUpgrade(req):
		srv.serveMisdirected(w, req, own)
	case srv.cfg.HTTP != nil:
		srv.cfg.HTTP.ServeHTTP(w, req)
	default:
		kind := RefusedPlainHTTP
		if asksForUpgrade(req) {
			kind = RefusedPath
		}
		srv.note(&refused{kind: kind, status: http.StatusNotFound, reason: "not found", http: req})
		http.Error(w, "not found", http.StatusNotFound)
	}
}

// serveMisdirected has Config.HTTP answer a request for an upgrade, to a path that is no route's. If it is answered as
// plain HTTP, the log tells of it as of any refusal: otherwise nothing would tell of a client with a misspelt path. (A
// foreign server tells of its answers itself.)
func (srv *Server) serveMisdirected(w http.ResponseWriter, req *http.Request, own *webConn) {
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
