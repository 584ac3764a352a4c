package conformance

import (
	"fmt"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// fragmentation is family 5 (RFC 6455 section 5.4).
func fragmentation() []testCase {
	const fail = frame.CloseProtocolError
	split := func(op frame.Opcode) []wstest.Frame {
		return []wstest.Frame{{Op: op, Payload: []byte("fragment1"), More: true}, last("fragment2")}
	}
	cases := []testCase{
		{id: "5.1", desc: "ping in two fragments", script: refused(fail, atOnce, split(frame.OpPing)...)},
		{id: "5.2", desc: "pong in two fragments", script: refused(fail, atOnce, split(frame.OpPong)...)},
	}
	ways := []struct {
		how string
		out sender
	}{
		{"", atOnce}, {", frame by frame", frameWise}, {", octet by octet", octetWise},
	}
	for i, way := range ways {
		cases = append(cases, testCase{
			id:     id(5, 3+i),
			desc:   "text in two fragments" + way.how,
			script: echoed(way.out, split(frame.OpText)...),
		})
	}
	for i, way := range ways {
		cases = append(cases, testCase{
			id:   id(5, 6+i),
			desc: "text in two fragments, a ping between" + way.how,
			script: func(p *peer) {
				way.out(p, first("fragment1"), wstest.Ping("ping payload"), last("fragment2"))
				p.pong("ping payload")
				p.echo(frame.OpText, []byte("fragment1fragment2"))
				p.bye()
			},
		})
	}
	for i, way := range ways {
		cases = append(cases, testCase{
			id:     id(5, 9+i),
			desc:   "final continuation of nothing, then text" + way.how,
			script: refused(fail, way.out, last("non-continuation payload"), wstest.Text(hello)),
		})
	}
	for i, way := range ways {
		cases = append(cases, testCase{
			id:     id(5, 12+i),
			desc:   "continuation of nothing, then text" + way.how,
			script: refused(fail, way.out, next("non-continuation payload"), wstest.Text(hello)),
		})
	}
	return append(cases,
		testCase{id: "5.15", desc: "text in two fragments, continuation of nothing, text", script: func(p *peer) {
			p.send(first("fragment1"), last("fragment2"), next("fragment3"), wstest.Text("fragment4"))
			p.echo(frame.OpText, []byte("fragment1fragment2"))
			p.ends(fail)
		}},
		testCase{id: "5.16", desc: "twice: continuation of nothing, text in two fragments",
			script: refused(fail, atOnce, twice(next("fragment1"), first("fragment2"), last("fragment3"))...)},
		testCase{id: "5.17", desc: "twice: final continuation of nothing, text in two fragments",
			script: refused(fail, atOnce, twice(last("fragment1"), first("fragment2"), last("fragment3"))...)},
		testCase{id: "5.18", desc: "text in two fragments, the second one text again",
			script: refused(fail, atOnce, first("fragment1"), wstest.Text("fragment2"))},
		testCase{id: "5.19", desc: "text in five fragments, pings after the second and the fourth", script: fiveFragments(atOnce)},
		testCase{id: "5.20", desc: "text in five fragments, pings after the second and the fourth, frame by frame", script: fiveFragments(frameWise)},
	)
}

func twice(fs ...wstest.Frame) []wstest.Frame { return append(fs, fs...) }

// fiveFragments goes on only when the first pong is there: it must not wait for
// the end of the message.
func fiveFragments(out sender) func(*peer) {
	return func(p *peer) {
		out(p, first("fragment1"), next("fragment2"), wstest.Ping("pongme 1!"))
		p.pong("pongme 1!")
		out(p, next("fragment3"), next("fragment4"), wstest.Ping("pongme 2!"), last("fragment5"))
		p.pong("pongme 2!")
		p.echo(frame.OpText, []byte("fragment1fragment2fragment3fragment4fragment5"))
		p.bye()
	}
}

// autoFragmentation is family 10.
func autoFragmentation() []testCase {
	p := content(frame.OpText, 65536)
	fs := wstest.Fragments(frame.OpText, p, 1300)
	return []testCase{{
		id:     "10.1.1",
		desc:   fmt.Sprintf("text of 65536 bytes in %d fragments of 1300", len(fs)),
		script: echoed(atOnce, fs...),
	}}
}
