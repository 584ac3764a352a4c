package deflate_test

import (
	"fmt"
	"strings"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
)

// A message is compressed, framed, read and inflated.
func Example() {
	message := []byte(strings.Repeat("Hello, room! ", 100))
	var c deflate.Compressor
	header := frame.Header{Fin: true, Opcode: frame.OpText, Length: int64(len(message))}
	if p, ok := c.Compress(nil, message, 15); ok {
		header.Rsv, header.Length = frame.RSV1, int64(len(p))
		message = p
	}
	wire := append(frame.AppendHeader(nil, header), message...)
	fmt.Println(len(wire) < 50)

	var r frame.Reader
	ev, _, err := r.Next(wire, &frame.Limits{RSV: frame.RSV1, Client: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	var d deflate.Decompressor
	p, err := d.Decompress(nil, ev.Payload, 64<<10)
	fmt.Println(len(p), frame.ValidUTF8(p), err)
	_, err = d.Decompress(nil, ev.Payload, 1000)
	fmt.Println(err)
	// Output:
	// true
	// 1300 true <nil>
	// websocket: message too big (1009)
}

// With context takeover a connection has a window, and what was said before need
// not be said again.
func ExampleCompressor_CompressNext() {
	var c deflate.Compressor
	w := deflate.NewWindow(12)
	message := []byte("The quick brown fox jumps over the lazy dog, and the lazy dog never minds. " +
		"It has seen foxes of every colour jump, and none of them came back for the bone.")
	first, _ := c.CompressNext(nil, message, w)
	again, _ := c.CompressNext(nil, message, w)
	fmt.Println(len(first) > 50, len(again) < 20)
	// Output:
	// true true
}
