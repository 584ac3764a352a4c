package conformance

import (
	"fmt"

	"github.com/perchws/perch/frame"
)

// framing is family 1: messages at each edge of the length forms.
func framing() []testCase {
	var cases []testCase
	for i, op := range []frame.Opcode{frame.OpText, frame.OpBinary} {
		for j, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			cases = append(cases, testCase{
				id:     id(1, i+1, j+1),
				desc:   fmt.Sprintf("%v of %d bytes", op, n),
				script: echoed(atOnce, msg(op, content(op, n))),
			})
		}
		cases = append(cases, testCase{
			id:     id(1, i+1, 8),
			desc:   fmt.Sprintf("%v of 65536 bytes, 997 at a time", op),
			script: echoed(chopped(997), msg(op, content(op, 65536))),
		})
	}
	return cases
}
