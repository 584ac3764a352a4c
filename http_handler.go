//go:build linux

package perch

import (
	"bufio"
	"net"
	"net/http"
	"strings"
)

// ServeHTTP makes all of the server's routes an http.Handler, for a foreign net/http server: see [Route.Upgrade]. A
// request that is for none of them goes to Config.HTTP.
//
// The engine's own net/http uses it too, because a loop has seen only the first request of a connection.
func (srv *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	own := ownConn(srv, req)
	if own != nil && req.TLS == nil {
		req.TLS = own.state() // net/http sets it only for a *tls.Conn
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

// serveMisdirected lets Config.HTTP answer a request for an upgrade whose path has no route. If the answer is plain
// HTTP, it is logged as a refusal: otherwise a client with a misspelt path would not be noticed. (A foreign server logs
// its answers itself.)
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

// answer notes how a request for an upgrade was answered.
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
