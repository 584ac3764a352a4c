package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// A testCase is one row of the table.
type testCase struct {
	id     string
	desc   string
	script func(p *peer)
	only   role   // zero: both
	terms  *terms // nil: no permessage-deflate
	large  bool   // moves much, beside those that large tells
	breach bool   // a lax server fails, beside those where refusal tells
}

// role is what we play.
type role uint8

const (
	bothRoles role = iota
	asClient       // against our server
	asServer       // against our client
)

// A peer is the tester's end of a connection, and the record of what it saw. Its
// methods that take a frame send; those that take content demand to receive it.
type peer struct {
	t    testing.TB
	c    *wstest.Conn
	seen []string

	z       *codec // nil without permessage-deflate
	shrinks bool   // what is echoed surely does, if it is long enough
	took    int    // bytes of echoes, as they came
}

func (p *peer) saw(format string, args ...any) { p.seen = append(p.seen, fmt.Sprintf(format, args...)) }

func (p *peer) observed() string { return strings.Join(p.seen, "; ") }

// mismatch ends the case, with what was got as its last observation.
func (p *peer) mismatch(got, want string) {
	p.t.Helper()
	before := p.observed()
	p.saw("%s", got)
	p.t.Fatalf("after [%s]: got %s, want %s", before, got, want)
}

func (p *peer) sent(err error) {
	p.t.Helper()
	if err != nil {
		p.mismatch("write: "+outcome(err), "the peer to take what is sent")
	}
}

// send writes all frames in one piece.
func (p *peer) send(fs ...wstest.Frame) {
	p.t.Helper()
	p.sent(p.c.TrySend(fs...))
}

// each writes one frame at a time.
func (p *peer) each(fs ...wstest.Frame) {
	p.t.Helper()
	for _, f := range fs {
		p.send(f)
	}
}

// chop writes n bytes at a time, wherever that cuts the frames.
func (p *peer) chop(n int, fs ...wstest.Frame) {
	p.t.Helper()
	p.sent(p.c.TryChop(n, fs...))
}

// raw writes b as it is.
func (p *peer) raw(b []byte) {
	p.t.Helper()
	p.sent(p.c.TryWrite(b))
}

// received reads the next message, in one frame or in several.
func (p *peer) received(want string) (m wstest.Frame, frames int) {
	p.t.Helper()
	for more := true; more; frames++ {
		f, err := p.c.Next()
		if err != nil {
			p.mismatch(outcome(err), want)
		}
		deflated := p.z != nil && frames == 0 && f.Rsv == rsv1
		if f.Rsv != 0 && !deflated || (f.Op == frame.OpContinuation) != (frames > 0) || f.Op.IsControl() {
			p.mismatch(f.String(), want)
		}
		if frames == 0 {
			m.Op, m.Rsv = f.Op, f.Rsv
		}
		m.Payload = append(m.Payload, f.Payload...)
		more = f.More
	}
	return m, frames
}

// echo demands this message next, in one frame or in several, compressed if it is
// to be.
func (p *peer) echo(op frame.Opcode, payload []byte) {
	p.t.Helper()
	want := fmt.Sprintf("%v %d", op, len(payload))
	got, frames := p.received("echo of " + want)
	how := ""
	if p.z != nil {
		how = p.unpack(&got, len(payload))
	}
	if got.Op != op || !bytes.Equal(got.Payload, payload) {
		at := 0
		for at < min(len(got.Payload), len(payload)) && got.Payload[at] == payload[at] {
			at++
		}
		p.mismatch(got.String(), fmt.Sprintf("echo of %s (differs at byte %d)", want, at))
	}
	if frames > 1 {
		want += fmt.Sprintf(" in %d frames", frames)
	}
	p.saw("echo %s%s", want, how)
}

// pong demands a pong with this payload next.
func (p *peer) pong(payload string) {
	p.t.Helper()
	f, err := p.c.Next()
	if err != nil {
		p.mismatch(outcome(err), "pong "+payload)
	}
	if f.Op != frame.OpPong || f.Rsv != 0 || string(f.Payload) != payload {
		p.mismatch(f.String(), fmt.Sprintf("pong %q", payload))
	}
	p.saw("pong %d", len(payload))
}

// ends demands a close frame with one of these codes next, and after it the end
// of the stream in good order. A server of ours must get there although the
// tester, as a client, never closes; a client may wait for the tester, as a
// server, to close first (RFC 6455 section 7.1.1).
func (p *peer) ends(codes ...frame.CloseCode) {
	p.t.Helper()
	want := fmt.Sprintf("close %d", codes)
	f, err := p.c.Next()
	if err != nil {
		p.mismatch(outcome(err), want)
	}
	code, reason := f.CloseInfo()
	ok := f.Op == frame.OpClose && f.Rsv == 0 && frame.ValidUTF8([]byte(reason))
	for _, c := range codes {
		if ok && c == code {
			p.saw("%s", closeText(code))
			p.eof()
			return
		}
	}
	p.mismatch(f.String(), want)
}

func (p *peer) eof() {
	p.t.Helper()
	if !p.c.IsClient() {
		p.c.CloseWrite()
	}
	f, err := p.c.Next()
	switch {
	case err == nil:
		p.mismatch(f.String(), "EOF")
	case !errors.Is(err, io.EOF):
		p.mismatch(outcome(err), "EOF")
	}
	p.saw("EOF")
}

// bye closes with 1000, which is to be answered in kind.
func (p *peer) bye() {
	p.t.Helper()
	p.send(wstest.Close(frame.CloseNormal, ""))
	p.ends(frame.CloseNormal)
}

// silence demands that nothing arrives for a moment: the only way to see that
// bytes in mid-frame were not refused yet.
func (p *peer) silence() {
	p.t.Helper()
	p.c.ExpectSilence(50 * time.Millisecond)
	p.saw("silence")
}

func closeText(code frame.CloseCode) string {
	if code == frame.CloseNoStatus {
		return "close without a code"
	}
	return fmt.Sprintf("close %d", uint16(code))
}

// outcome names the error of a read or write as the golden file does.
func outcome(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "EOF within a frame"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "RST"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return err.Error()
}
