//go:build linux

package perch

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/perchws/perch/handshake"
)

// DialError is a server's answer to Dial other than 101. errors.As finds it in the error of OnClose. Redirections are
// not followed; Header has Location, Retry-After and WWW-Authenticate.
type DialError struct {
	Status int         // of HTTP, 401 for instance
	Header http.Header // of the response, the caller's own
	Body   []byte      // its beginning, at most 4 KiB, as far as it has arrived
}

// Error implements error.
func (e *DialError) Error() string {
	return fmt.Sprintf("perch: the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// Unwrap returns a *handshake.RefusedError.
func (e *DialError) Unwrap() error { return &handshake.RefusedError{Status: e.Status} }

const (
	refusedBody  = 4 << 10 // bytes of a refusal's body that are kept
	interimHeads = 16      // responses of 1xx before the final one
)

// refusedDial is a dial that was answered with another status than 101. The response is gathered until its end, or
// until there is enough of it.
type refusedDial struct {
	status int
	raw    []byte
	most   int // this many bytes of raw are enough
	chunks bool
}

// newRefusedDial looks at the head of a response.
func newRefusedDial(h handshake.Head) *refusedDial {
	r := &refusedDial{status: h.Status(), most: len(h.Raw()) + refusedBody}
	coding := h.Header("Transfer-Encoding")
	length, err := strconv.ParseUint(string(h.Header("Content-Length")), 10, 31)
	switch {
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		r.most = len(h.Raw())
	case coding != nil: // RFC 9112 §6.3: Content-Length does not count
		r.chunks = true
		r.most += refusedBody // for the framing of the chunks
	case err == nil:
		r.most = len(h.Raw()) + min(int(length), refusedBody)
	}
	return r
}

// take keeps more of the response. It reports that this is enough.
func (r *refusedDial) take(b []byte) bool {
	r.raw = append(r.raw, b[:min(len(b), r.most-len(r.raw))]...)
	return len(r.raw) == r.most || r.chunks && bytes.HasSuffix(r.raw, []byte("0\r\n\r\n"))
}

// err is the error for OnClose.
func (r *refusedDial) err() error {
	e := &DialError{Status: r.status}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.raw)), nil)
	if err != nil { // net/http is stricter in some points
		return e
	}
	e.Header = resp.Header
	e.Body, _ = io.ReadAll(io.LimitReader(resp.Body, refusedBody)) // a body that is cut short is no other error
	e.Body = slices.Clip(e.Body)
	return e
}

// refusedBy gathers the response of a server that refuses the upgrade. The dial fails when the response ends, or when
// enough of it has arrived; see also setCause.
func (l *loop) refusedBy(i uint32, s *slot, d *dialing, b []byte) {
	l.own.Check()
	if d.refused.take(b) {
		l.fail(i, s, nil)
	}
}
