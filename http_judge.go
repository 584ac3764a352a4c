//go:build linux

package perch

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/perchws/perch/handshake"
)

// judge decides about a request that net/http has parsed, by the same rules that a loop applies: they judge a head that
// is written from the request. header goes with a refusal by OnUpgrade.
func (r *Route) judge(w http.ResponseWriter, req, matched *http.Request) (t *takeover, header http.Header, err error) {
	srv := r.srv
	if req.ProtoMajor != 1 {
		return nil, nil, &UpgradeError{http.StatusHTTPVersionNotSupported, "WebSocket needs HTTP/1.1", ErrHTTPVersion}
	}
	if !srv.running.Load() {
		return nil, nil, &UpgradeError{http.StatusServiceUnavailable, goingAway, ErrServerClosed}
	}
	head, key, err := r.checkParsed(req)
	if fault, ok := errors.AsType[*handshake.Error](err); ok {
		return nil, nil, &UpgradeError{fault.Status, fault.Reason, err}
	}
	if !canHijack(w) {
		return nil, nil, fmt.Errorf("%w: %T is no http.Hijacker", ErrHijack, w)
	}
	request := &Request{head: head, fd: -1, trusted: srv.cfg.TrustedProxies, matched: matched, http: req}
	request.addr = peerOf(req)
	request.unix = !request.addr.IsValid()
	request.chosen = handshake.SelectSubprotocol(request.head, r.settings.Subprotocols)
	resp := r.callOnUpgrade(request)
	if resp.refuses() {
		why := ErrRejected
		if resp.failed {
			why = fmt.Errorf("%w: %w", ErrRejected, ErrPanic)
		}
		return nil, resp.Header, &UpgradeError{srv.refusal(&resp), resp.Reason, why}
	}
	// An answer that cannot be sent is refused here already; the loop checks it again, with all facts.
	err = request.choose(resp.Subprotocol)
	if err == nil {
		_, err = handshake.AppendSwitching(nil, key, request.chosen, "", resp.Header)
	}
	if err != nil {
		srv.often(frequentAnswer, slog.LevelError, "OnUpgrade's response cannot be sent", slog.String("error", err.Error()))
		r.abandon(&resp, because(ErrNeverOpened, err))
		return nil, nil, err
	}
	resp.Header = merged(w.Header(), resp.Header)
	return &takeover{upgrading: upgrading{route: r, request: request, key: string(key), response: resp}}, nil, nil
}

// checkParsed judges the request itself. Errors: a *handshake.Error says what is wrong with it.
func (r *Route) checkParsed(req *http.Request) (head handshake.Head, key []byte, err error) {
	parser := &handshake.Parser{Limits: handshake.Most} // net/http has applied limits of its own
	raw := headOf(req)
	n, err := parser.Request(raw)
	switch {
	case err != nil:
		return head, nil, err
	case n != len(raw):
		return head, nil, handshake.ErrNotUpgrade // for a Request that some code has put together wrongly
	}
	head = parser.Head(raw)
	key, err = r.check(head)
	return head, key, err
}

// callOnUpgrade calls OnUpgrade, if there is one.
func (r *Route) callOnUpgrade(request *Request) (resp Response) {
	f := r.onUpgrade
	if r.blocking != nil {
		f = r.blocking.OnUpgrade
	}
	if f == nil {
		return resp
	}
	if !r.srv.guard(handlerPanicked, "", func() { resp = f(request) }) {
		return failedUpgrade
	}
	return resp
}

// headOf writes the head of a request out again, for the parser whose rules hold everywhere.
func headOf(req *http.Request) []byte {
	target := req.RequestURI
	if target == "" {
		target = req.URL.RequestURI()
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.%d\r\n", oneLine(req.Method), oneLine(target), req.ProtoMinor)
	b = fmt.Appendf(b, "Host: %s\r\n", oneLine(req.Host))
	for _, coding := range req.TransferEncoding { // net/http removes it from Header
		b = fmt.Appendf(b, "Transfer-Encoding: %s\r\n", oneLine(coding))
	}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, v := range req.Header[name] {
			b = fmt.Appendf(b, "%s: %s\r\n", oneLine(name), oneLine(v))
		}
	}
	return append(b, "\r\n"...)
}

// oneLine is s, or, if s has a line end, a text that the parser refuses. net/http lets no line end through, but a
// middleware may have copied one into a field.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return "\x00"
	}
	return s
}

// merged adds the header fields that outer handlers have set, except those of the handshake itself and of a body.
func merged(outer, inner http.Header) http.Header {
	all := inner.Clone()
	if all == nil {
		all = make(http.Header, len(outer))
	}
	for name, values := range outer {
		for _, v := range values {
			if handshake.ValidField(name, v) {
				all[name] = append(all[name], v)
			}
		}
	}
	return all
}
