package conformance

import (
	"fmt"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// reservedBits is family 3: RSV bits that no extension has given a meaning
// (RFC 6455 section 5.2).
func reservedBits() []testCase {
	fail := frame.CloseProtocolError
	text := func(rsv byte) wstest.Frame {
		return wstest.Frame{Op: frame.OpText, Payload: []byte(hello), Rsv: rsv}
	}
	ping := wstest.Ping("")
	return []testCase{
		{id: "3.1", desc: "text, RSV = 1", script: refused(fail, atOnce, text(1))},
		{id: "3.2", desc: "text; text, RSV = 2; ping", script: refusedAfter(fail, atOnce, text(2), ping)},
		{id: "3.3", desc: "text; text, RSV = 3; ping, frame by frame", script: refusedAfter(fail, frameWise, text(3), ping)},
		{id: "3.4", desc: "text; text, RSV = 4; ping, octet by octet", script: refusedAfter(fail, octetWise, text(4), ping)},
		{id: "3.5", desc: "binary, RSV = 5", script: refused(fail, atOnce,
			wstest.Frame{Op: frame.OpBinary, Payload: []byte(notText), Rsv: 5})},
		{id: "3.6", desc: "ping, RSV = 6", script: refused(fail, atOnce,
			wstest.Frame{Op: frame.OpPing, Payload: []byte(hello), Rsv: 6})},
		{id: "3.7", desc: "close, RSV = 7", script: refused(fail, atOnce, wstest.Frame{Op: frame.OpClose, Rsv: 7})},
	}
}

// opcodes is family 4: reserved opcodes (RFC 6455 section 5.2).
func opcodes() []testCase {
	ping := wstest.Ping("")
	var cases []testCase
	for i, from := range []frame.Opcode{3, 11} {
		for j := range 5 {
			op := from + frame.Opcode(j)
			c := testCase{id: id(4, i+1, j+1)}
			switch j {
			case 0:
				c.desc = fmt.Sprintf("opcode %d", op)
				c.script = refused(frame.CloseProtocolError, atOnce, msg(op, nil))
			case 1:
				c.desc = fmt.Sprintf("opcode %d with payload", op)
				c.script = refused(frame.CloseProtocolError, atOnce, msg(op, []byte("reserved opcode payload")))
			case 2:
				c.desc = fmt.Sprintf("text; opcode %d; ping", op)
				c.script = refusedAfter(frame.CloseProtocolError, atOnce, msg(op, nil), ping)
			case 3:
				c.desc = fmt.Sprintf("text; opcode %d with payload; ping", op)
				c.script = refusedAfter(frame.CloseProtocolError, atOnce, msg(op, []byte(hello)), ping)
			case 4:
				c.desc = fmt.Sprintf("text; opcode %d with payload; ping, octet by octet", op)
				c.script = refusedAfter(frame.CloseProtocolError, octetWise, msg(op, []byte(hello)), ping)
			}
			cases = append(cases, c)
		}
	}
	return cases
}
