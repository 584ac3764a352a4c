package handshake_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perchws/perch/handshake"
)

// A server reads a request as it arrives, in two pieces, and answers it.
func Example() {
	arrived := []byte("GET /ws?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConn")
	var p handshake.Parser
	n, err := p.Request(arrived)
	fmt.Println(n, err)

	arrived = append(arrived, "ection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n\x81\x85"...)
	n, err = p.Request(arrived)
	fmt.Println(n, err, len(arrived)-n)

	h := p.Head(arrived)
	fmt.Printf("%s %s %s\n", h.Path(), h.RawQuery(), h.Header("host"))
	key, err := h.CheckUpgrade()
	if err != nil {
		fmt.Println(err)
	}
	subprotocol := handshake.SelectSubprotocol(h, []string{"chat.v1"})
	out, err := handshake.AppendSwitching(nil, key, subprotocol, "", nil)
	fmt.Printf("%v\n%s", err, strings.ReplaceAll(string(out), "\r", ""))
	// Output:
	// 0 <nil>
	// 201 <nil> 2
	// /ws room=1 example.com
	// <nil>
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Sec-WebSocket-Protocol: chat.v1
}

// A refusal says what was wrong and with which status to answer.
func ExampleError() {
	var p handshake.Parser
	_, err := p.Request([]byte("GET /ws HTTP/1.1\nHost: example.com\n\n"))
	var e *handshake.Error
	if errors.As(err, &e) {
		out := handshake.AppendError(nil, e.Status, e.Reason, nil)
		fmt.Print(strings.ReplaceAll(string(out), "\r", ""))
	}
	// Output:
	// HTTP/1.1 400 Bad Request
	// Connection: close
	// Content-Type: text/plain; charset=utf-8
	// X-Content-Type-Options: nosniff
	// Content-Length: 24
	//
	// line not ended by CR LF
}

// A client sends a request and checks the answer.
func ExampleHead_CheckResponse() {
	key := handshake.NewKey()
	request, err := handshake.AppendRequest(nil, "example.com", "/ws", key, []string{"chat.v1"}, "", nil)
	fmt.Println(len(request), err)

	answer := handshake.AppendError(nil, 503, "full", map[string][]string{"Retry-After": {"5"}})
	var p handshake.Parser
	if _, err := p.Response(answer); err != nil {
		fmt.Println(err)
	}
	h := p.Head(answer)
	_, err = h.CheckResponse(key, []string{"chat.v1"}, "")
	var refused *handshake.RefusedError
	fmt.Println(errors.As(err, &refused), refused.Status, string(h.Header("Retry-After")))
	// Output:
	// 185 <nil>
	// true 503 5
}
