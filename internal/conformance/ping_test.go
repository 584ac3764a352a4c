package conformance

import (
	"fmt"
	"strings"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// pings is family 2. Section 5.5.3 lets an endpoint answer only the latest of
// several pings; like the suite we demand an answer to each.
func pings() []testCase {
	full := strings.Repeat("\xfe", 125)
	unasked := wstest.Pong("unsolicited pong payload")
	return []testCase{
		{id: "2.1", desc: "ping without payload", script: pinged(atOnce, "")},
		{id: "2.2", desc: "ping with text", script: pinged(atOnce, hello)},
		{id: "2.3", desc: "ping with bytes that are not UTF-8", script: pinged(atOnce, notText)},
		{id: "2.4", desc: "ping of 125 bytes", script: pinged(atOnce, full)},
		{id: "2.5", desc: "ping of 126 bytes", script: refused(frame.CloseProtocolError, atOnce, wstest.Ping(full+"\xfe"))},
		{id: "2.6", desc: "ping of 125 bytes, octet by octet", script: pinged(octetWise, full)},
		{id: "2.7", desc: "unsolicited pong without payload, then close", script: unanswered(wstest.Pong(""))},
		{id: "2.8", desc: "unsolicited pong with payload, then close", script: unanswered(unasked)},
		{id: "2.9", desc: "unsolicited pong, then ping", script: func(p *peer) {
			p.send(unasked, wstest.Ping("ping payload"))
			p.pong("ping payload")
			p.bye()
		}},
		{id: "2.10", desc: "ten pings at once", script: pinged(atOnce, tenPayloads()...)},
		{id: "2.11", desc: "ten pings, octet by octet", script: pinged(octetWise, tenPayloads()...)},
	}
}

func tenPayloads() []string {
	s := make([]string, 10)
	for i := range s {
		s[i] = fmt.Sprintf("payload-%d", i)
	}
	return s
}

// pinged sends pings and wants their pongs, in order.
func pinged(out sender, payloads ...string) func(*peer) {
	return func(p *peer) {
		var fs []wstest.Frame
		for _, s := range payloads {
			fs = append(fs, wstest.Ping(s))
		}
		out(p, fs...)
		for _, s := range payloads {
			p.pong(s)
		}
		p.bye()
	}
}

// unanswered sends a frame that nothing may answer.
func unanswered(f wstest.Frame) func(*peer) {
	return func(p *peer) {
		p.send(f)
		p.bye()
	}
}
