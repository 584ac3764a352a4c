package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perchws/perch/bench/peers/wire"
)

// check is bytes for a fresh connection to /ws, and what RFC 6455 wants back.
type check struct {
	name string // a line of the table
	send []byte
	want []string // any of these
}

// failed is what comes back where the RFC says to fail the connection. It leaves
// the choice of the code, and whether there is a close frame at all (7.1.7).
var failed = []string{"close 1002", "close 1007", "close 1009", "no close frame"}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// raw is a masked header without payload bytes.
func raw(b ...byte) []byte { return append(b, wire.Mask[:]...) }

var checks = []check{
	// 5.2: the most significant bit of a 64-bit length is 0.
	{"length with the top bit set", raw(wire.Fin|wire.Binary, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1), failed},
	{"length of 2^62", raw(wire.Fin|wire.Binary, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0), failed},
	// 5.2: the minimal number of bytes must be used.
	{"length 5 in 16 bits", append(raw(wire.Fin|wire.Text, 0x80|126, 0, 5), 'h'^wire.Mask[0], 'e'^wire.Mask[1], 'l'^wire.Mask[2], 'l'^wire.Mask[3], 'o'^wire.Mask[0]), failed},
	// 5.1: a server closes upon receiving a frame that is not masked.
	{"frame without a mask", []byte(strings.Repeat("\x81\x05hello", 3)), failed},
	{"reserved bit", wire.Frame(wire.Fin|wire.RSV1|wire.Text, "hello"), failed},
	{"reserved opcode", wire.Frame(wire.Fin|3, ""), failed},
	{"ping of 126 bytes", wire.Frame(wire.Fin|wire.Ping, strings.Repeat("p", 126)), failed},
	{"ping in fragments", wire.Frame(wire.Ping, "p"), failed},
	{"continuation of nothing", wire.Frame(wire.Fin|wire.Continuation, "x"), failed},
	{"message within a message", join(wire.Frame(wire.Text, "a"), wire.Frame(wire.Fin|wire.Text, "b")), failed},
	// 8.1
	{"text that is not UTF-8", wire.Frame(wire.Fin|wire.Text, "\xce\xba\xff"), failed},
	{"such text, in fragments", join(wire.Frame(wire.Text, "\xce"), wire.Frame(wire.Fin|wire.Continuation, "\xff")), failed},
	{"UTF-8 cut by fragments", join(wire.Frame(wire.Text, "\xce"), wire.Frame(wire.Fin|wire.Continuation, "\xba")), []string{`text "κ"`}},
	// 5.4, 5.5.2
	{"ping between fragments", join(wire.Frame(wire.Text, "a"), wire.Frame(wire.Fin|wire.Ping, "p")), []string{`pong "p"`}},
	{"message in fragments", join(wire.Frame(wire.Binary, "a"), wire.Frame(wire.Continuation, ""), wire.Frame(wire.Fin|wire.Continuation, "b")), []string{`binary "ab"`}},
	{"empty message", wire.Frame(wire.Fin|wire.Text, ""), []string{`text ""`}},
	// 5.5.1, 7.4
	{"close 1000", wire.Frame(wire.Fin|wire.Close, "\x03\xe8"), []string{"close 1000"}},
	{"close without a code", wire.Frame(wire.Fin|wire.Close, ""), []string{"close without code", "close 1000"}},
	{"close with one byte", wire.Frame(wire.Fin|wire.Close, "x"), failed},
	{"close 1005", wire.Frame(wire.Fin|wire.Close, "\x03\xed"), failed},
	{"close, reason not UTF-8", wire.Frame(wire.Fin|wire.Close, "\x03\xe8\xff"), failed},
}

// run sends the bytes and returns what came back; ok if that is right.
func (k check) run(addr string) (got string, ok bool) {
	c, err := wire.Open(addr, "/ws")
	if err != nil {
		return err.Error(), false
	}
	defer c.Close()
	got = c.Answer(k.send)
	if slices.Contains(k.want, got) {
		return got, true
	}
	if slices.Equal(k.want, failed) && !strings.HasPrefix(got, "close ") && got != "no answer" {
		got = "accepted: " + got
	}
	return got, false
}

// echoes reports whether the server still does its work.
func echoes(addr string) error {
	c, err := wire.Open(addr, "/ws")
	if err != nil {
		return err
	}
	defer c.Close()
	if got := c.Answer(wire.Frame(wire.Fin|wire.Text, "hello")); got != `text "hello"` {
		return fmt.Errorf("answered %s", got)
	}
	return nil
}
