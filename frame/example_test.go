package frame_test

import (
	"errors"
	"fmt"

	"github.com/perchws/perch/frame"
)

// A server reads frames as they come: two whole ones here, and the start of a third.
func ExampleReader() {
	in := frame.AppendMaskedFrame(nil, frame.OpText, []byte("Hello"), 0x3d21fa37)
	in = frame.AppendMaskedFrame(in, frame.OpPing, nil, 0x12345678)
	in = append(in, 0x81)

	var r frame.Reader
	limits := frame.Limits{MaxMessage: 64 << 10}
	for {
		ev, n, err := r.Next(in, &limits)
		if err != nil {
			fmt.Println(err)
			return
		}
		in = in[n:]
		if ev.Kind == frame.NeedMore {
			break // keep in, append what the connection brings, go on
		}
		fmt.Printf("%v %q\n", ev.Opcode, ev.Payload)
	}
	fmt.Println(len(in), "byte left over")
	// Output:
	// text "Hello"
	// ping ""
	// 1 byte left over
}

// What the peer does wrong is a ProtocolError: close with its code.
func ExampleProtocolError() {
	unmasked := frame.AppendFrame(nil, frame.OpText, []byte("Hello"))
	var r frame.Reader
	_, _, err := r.Next(unmasked, &frame.Limits{})
	var fault *frame.ProtocolError
	if errors.As(err, &fault) {
		payload := frame.AppendClose(nil, fault.Code, fault.Reason)
		fmt.Printf("%x %q\n", payload[:2], payload[2:])
	}
	// Output: 03ea "client frame not masked"
}

// An Assembler yields whole messages only, however they were fragmented.
func ExampleAssembler() {
	in := frame.AppendHeader(nil, frame.Header{Opcode: frame.OpText, Length: 3})
	in = append(in, "Hel"...)
	in = frame.AppendFrame(in, frame.OpPing, []byte("still there?"))
	in = frame.AppendFrame(in, frame.OpContinuation, []byte("lo"))

	var a frame.Assembler
	for len(in) > 0 {
		ev, n, err := a.Next(in, &frame.Limits{Client: true})
		if err != nil || ev.Kind == frame.NeedMore {
			break
		}
		fmt.Printf("%v %q\n", ev.Opcode, ev.Payload)
		in = in[n:]
	}
	// Output:
	// ping "still there?"
	// text "Hello"
}

func ExampleParseHeader() {
	h, n, err := frame.ParseHeader([]byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'})
	fmt.Println(h.Fin, h.Opcode, h.Masked, h.Length, n, err)
	_, n, err = frame.ParseHeader([]byte{0x81})
	fmt.Println(n, err, "more is needed")
	// Output:
	// true text false 5 2 <nil>
	// 0 <nil> more is needed
}

func ExampleParseClose() {
	code, reason, err := frame.ParseClose([]byte("\x03\xe9restart at noon"))
	fmt.Printf("%v: %s, %v\n", code, reason, err)
	// Output: 1001 going away: restart at noon, <nil>
}

// A text can be checked as its pieces come, cut within a character too.
func ExampleUTF8() {
	var s frame.UTF8
	fmt.Println(s.Write([]byte("caf\xc3")), s.Complete())
	fmt.Println(s.Write([]byte("\xa9")), s.Complete())
	fmt.Println(s.Write([]byte("\xff")), s.Complete())
	// Output:
	// true false
	// true true
	// false false
}

// The same bytes go to every receiver.
func ExamplePrepare() {
	m := frame.Prepare(frame.OpText, []byte("to all"))
	fmt.Printf("%q %v %q\n", m.Bytes(), m.Opcode(), m.Payload())
	// Output: "\x81\x06to all" text "to all"
}
