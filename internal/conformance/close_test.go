package conformance

import (
	"fmt"
	"strings"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// closing is family 7 (RFC 6455 sections 5.5.1, 7.1 and 7.4). A close frame is
// answered with its own code.
func closing() []testCase {
	const (
		ok   = frame.CloseNormal
		fail = frame.CloseProtocolError
	)
	bye := wstest.Close(ok, "")
	emptyClose := wstest.Frame{Op: frame.OpClose}
	cases := []testCase{
		{id: "7.1.1", desc: "text, then close", script: echoed(atOnce, wstest.Text(hello))},
		{id: "7.1.2", desc: "two close frames", script: refused(ok, atOnce, bye, emptyClose)},
		{id: "7.1.3", desc: "ping after close", script: refused(ok, atOnce, bye, wstest.Ping(""))},
		{id: "7.1.4", desc: "text after close", script: refused(ok, atOnce, bye, wstest.Text(hello))},
		{id: "7.1.5", desc: "close between fragments", script: refused(ok, atOnce, first("fragment1"), bye, last("fragment2"))},
		{id: "7.1.6", desc: "text of 256 KiB, text, close, ping", script: func(p *peer) {
			long := content(frame.OpText, 256<<10)
			p.send(msg(frame.OpText, long), wstest.Text(hello), bye, wstest.Ping(""))
			p.echo(frame.OpText, long)
			p.echo(frame.OpText, []byte(hello))
			p.ends(ok)
		}},

		{id: "7.3.1", desc: "close without payload", script: func(p *peer) {
			p.send(emptyClose)
			p.ends(ok, frame.CloseNoStatus)
		}},
		{id: "7.3.2", desc: "close with one octet", script: refused(fail, atOnce, msg(frame.OpClose, []byte("a")))},
		{id: "7.3.3", desc: "close with a code", script: refused(ok, atOnce, bye)},
		{id: "7.3.4", desc: "close with a code and a reason", script: refused(ok, atOnce, wstest.Close(ok, hello))},
		{id: "7.3.5", desc: "close with a reason of 123 octets", script: refused(ok, atOnce, wstest.Close(ok, strings.Repeat("*", 123)))},
		{id: "7.3.6", desc: "close with a reason of 124 octets", script: refused(fail, atOnce, wstest.Close(ok, strings.Repeat("*", 124)))},

		{id: "7.5.1", desc: "close with a reason that is not UTF-8",
			script: refused(frame.CloseInvalidPayload, atOnce, wstest.Close(ok, kosme+"\xed\xa0\x80edited"))},
	}
	for i, code := range []frame.CloseCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases = append(cases, codeCase(id(7, 7, i+1), code, true))
	}
	for i, code := range []frame.CloseCode{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		cases = append(cases, codeCase(id(7, 9, i+1), code, false))
	}
	for i, code := range []frame.CloseCode{5000, 65535} {
		cases = append(cases, codeCase(id(7, 13, i+1), code, false))
	}
	return cases
}

// codeCase wants a legal code back and any other refused.
func codeCase(id string, code frame.CloseCode, legal bool) testCase {
	want := frame.CloseProtocolError
	if legal {
		want = code
	}
	return testCase{
		id:     id,
		desc:   fmt.Sprintf("close with code %d", uint16(code)),
		script: refused(want, atOnce, wstest.Close(code, "")),
	}
}
