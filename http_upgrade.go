//go:build linux

package perch

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/perchws/perch/handshake"
)

// The reasons for which an upgrade inside of net/http is refused; errors.Is finds them in an UpgradeError. For a fault
// of the request it finds a *handshake.Error.
var (
	// ErrHTTPVersion: WebSocket over HTTP/2 is not supported.
	ErrHTTPVersion = errors.New("perch: WebSocket needs HTTP/1.1")
	// ErrHijack: the ResponseWriter, or the connection under it, cannot be taken out of net/http. Perhaps a middleware
	// or a listener has wrapped it.
	ErrHijack = errors.New("perch: connection cannot be taken over")
	// ErrTLS: the connection has come from a TLS listener that is not ours: see TLSListener.
	ErrTLS = errors.New("perch: TLS of a foreign listener")
	// ErrTooMany: a limit on connections, or on new ones, is reached.
	ErrTooMany = errors.New("perch: too many connections")
	// ErrRejected: OnUpgrade has refused, or panicked (ErrPanic too).
	ErrRejected = errors.New("perch: rejected by OnUpgrade")
)

// UpgradeError says why Route.Upgrade has refused a request, and with which answer.
type UpgradeError struct {
	Status int    // of the response
	Reason string // its body
	Err    error
}

// Error implements error.
func (e *UpgradeError) Error() string {
	return fmt.Sprintf("perch: upgrade refused with status %d, %s: %v", e.Status, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *UpgradeError) Unwrap() error { return e.Err }

// ServeHTTP is Upgrade as an http.Handler, for any router.
func (r *Route) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.upgrade(w, req, req) }

// Upgrade takes the connection of a request over from a net/http server: any server, with any router. The server of the
// route must be started, but needs no listener. Requests and answers are as on a listener of the engine's own, and all
// limits hold. Header fields that are set on w go into the response; the path values of req are those of the Request,
// whose HTTP method returns req. OnUpgrade is called on this goroutine.
//
// On success the connection belongs to one of the loops, with all bytes that net/http has buffered, and neither w nor
// the connection may be used any more. Otherwise the request has been answered, and the error, an *UpgradeError, has
// the reason.
//
// Nothing may have been written to w before. The connection must be a TCP or unix socket of package net; over TLS it
// must have come from the engine or from a TLSListener.
func (r *Route) Upgrade(w http.ResponseWriter, req *http.Request) error {
	return r.upgrade(w, req, req)
}

// upgrade takes path values from matched, which may be nil.
func (r *Route) upgrade(w http.ResponseWriter, req, matched *http.Request) error {
	own := ownConn(r.srv, req)
	t, header, err := r.judge(w, req, matched)
	if err == nil {
		if err = r.takeOver(w, t, own); err == nil {
			return nil
		}
		r.abandon(&t.response, because(ErrNeverOpened, err))
	}
	if own != nil {
		own.noted = true
	}
	return r.refuseUpgrade(w, req, header, err)
}

// refuseUpgrade answers a request that is refused because of err; header is OnUpgrade's for the answer.
func (r *Route) refuseUpgrade(w http.ResponseWriter, req *http.Request, header http.Header, err error) error {
	var no *UpgradeError
	if !errors.As(err, &no) {
		no = &UpgradeError{Status: http.StatusInternalServerError, Reason: "internal server error", Err: err}
	}
	var fault *handshake.Error
	switch {
	case errors.As(err, &fault) && fault != handshake.ErrNotUpgrade: // plain HTTP is no fault of the request
		r.srv.outside.bad.Add(1)
	case errors.Is(err, ErrTooMany):
		r.srv.outside.refused.Add(1)
	}
	r.srv.note(&refused{kind: upgradeRefusal(no), status: no.Status, reason: reasonOf(no), http: req})
	if no.Status == http.StatusServiceUnavailable || no.Status == http.StatusTooManyRequests {
		header = retryAfter
	}
	if broken, ok := errors.AsType[*hijacked](err); ok {
		broken.conn.Write(handshake.AppendError(nil, no.Status, no.Reason, header))
		broken.conn.Close()
		if error(no) != broken.err {
			no.Err = broken.err
		}
		return no
	}
	for name, values := range header {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	handshake.AddDemanded(w.Header(), no.Status)
	http.Error(w, no.Reason, no.Status)
	return no
}

// upgradeRefusal is the kind of refusal of an error of Upgrade.
func upgradeRefusal(err *UpgradeError) Refusal {
	var fault *handshake.Error
	switch {
	case errors.As(err, &fault):
		return kindOf(fault)
	case errors.Is(err, ErrHTTPVersion):
		return RefusedRequest
	case errors.Is(err, ErrTooMany):
		return RefusedLimit
	case errors.Is(err, ErrPanic):
		return RefusedFault
	case errors.Is(err, ErrRejected):
		return RefusedByHandler
	case errors.Is(err, ErrServerClosed):
		return RefusedStopping
	case errors.Is(err, ErrTLS):
		return RefusedTLS
	case errors.Is(err, ErrHijack):
		return RefusedHijack
	}
	return RefusedFault
}

// reasonOf is the reason of err for the log. The client is not told about faults on our side.
func reasonOf(err *UpgradeError) string {
	if err.Status == http.StatusInternalServerError && !errors.Is(err, ErrRejected) {
		return err.Err.Error()
	}
	return err.Reason
}
