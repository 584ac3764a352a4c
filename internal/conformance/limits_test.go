package conformance

import (
	"fmt"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// maxMessage is the limit of the endpoint under test.
const maxMessage = 16*mib + kib

// limits is families 9.1 to 9.6: large messages, whole, in fragments, in chops.
// The payloads are made when the case runs.
func limits() []testCase {
	var cases []testCase
	both := []frame.Opcode{frame.OpText, frame.OpBinary}
	for i, op := range both {
		for j, n := range []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib} {
			cases = append(cases, testCase{
				id:     id(9, 1+i, 1+j),
				desc:   fmt.Sprintf("%v of %s", op, size(n)),
				script: func(p *peer) { echoed(atOnce, msg(op, content(op, n)))(p) },
			})
		}
	}
	for i, op := range both {
		for j, n := range []int{64, 256, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, mib, 4 * mib} {
			cases = append(cases, testCase{
				id:   id(9, 3+i, 1+j),
				desc: fmt.Sprintf("%v of 4 MiB in fragments of %s", op, size(n)),
				script: func(p *peer) {
					echoed(atOnce, wstest.Fragments(op, content(op, 4*mib), n)...)(p)
				},
			})
		}
	}
	for i, op := range both {
		for j, n := range []int{64, 128, 256, 512, kib, 2 * kib} {
			cases = append(cases, testCase{
				id:     id(9, 5+i, 1+j),
				desc:   fmt.Sprintf("%v of 1 MiB in chops of %s", op, size(n)),
				script: func(p *peer) { echoed(chopped(n), msg(op, content(op, mib)))(p) },
			})
		}
	}
	return cases
}

// roundTrips is families 9.7 and 9.8: a thousand messages, one after the other.
func roundTrips() []testCase {
	const count = 1000
	var cases []testCase
	for i, op := range []frame.Opcode{frame.OpText, frame.OpBinary} {
		for j, n := range []int{0, 16, 64, 256, 1024, 4096} {
			cases = append(cases, testCase{
				id:     id(9, 7+i, 1+j),
				desc:   fmt.Sprintf("%d times %v of %d bytes, one after the other", count, op, n),
				script: func(p *peer) { roundTrip(p, op, n, count) },
			})
		}
	}
	return cases
}

func roundTrip(p *peer, op frame.Opcode, n, count int) {
	payload := content(op, n)
	for i := range count {
		if n > 0 {
			payload[0] = '0' + byte(i%10) // the echo of an earlier message will not do
		}
		p.send(msg(op, payload))
		p.echo(op, payload)
		if i > 0 {
			p.seen = p.seen[:len(p.seen)-1]
		}
	}
	p.seen[0] = fmt.Sprintf("%d × %s", count, p.seen[0])
	p.bye()
}
