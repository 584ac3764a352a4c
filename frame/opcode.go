package frame

import "strconv"

// Opcode is the meaning of a frame (RFC 6455 §5.2).
type Opcode uint8

// The opcodes of RFC 6455 §11.8. All others are reserved.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

var opcodeNames = [16]string{
	OpContinuation: "continuation", OpText: "text", OpBinary: "binary",
	OpClose: "close", OpPing: "ping", OpPong: "pong",
}

// IsControl reports whether o is a control opcode, reserved ones included
// (RFC 6455 §5.5: the most significant bit of the opcode is 1).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// IsData reports whether o begins a message: text or binary.
func (o Opcode) IsData() bool { return o == OpText || o == OpBinary }

// String names the opcode as the RFC does.
func (o Opcode) String() string {
	if int(o) < len(opcodeNames) && opcodeNames[o] != "" {
		return opcodeNames[o]
	}
	return "opcode " + strconv.Itoa(int(o))
}
