package handshake

import (
	"strings"
	"testing"
)

// A handshake as websocat and most libraries send it, and one of a browser.
const (
	headSmall = "GET /ws HTTP/1.1\r\n" +
		"Host: 127.0.0.1:8000\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"\r\n"
	headBrowser = "GET /ws/chat?room=general HTTP/1.1\r\n" +
		"Host: chat.example.com\r\n" +
		"Connection: keep-alive, Upgrade\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n" +
		"Upgrade: websocket\r\n" +
		"Origin: https://chat.example.com\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n" +
		"Cookie: session_id=0123456789abcdef0123456789abcdef; theme=dark\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
		"Sec-WebSocket-Protocol: perch.v1, chat.v1\r\n" +
		"\r\n"
)

// answer is what a server does with a whole head: the hot path of a connect storm.
func answer(tb testing.TB, p *Parser, dst, head []byte, server, origins []string) []byte {
	p.Reset()
	n, err := p.Request(head)
	if n != len(head) || err != nil {
		tb.Fatalf("Request = %d, %v", n, err)
	}
	h := p.Head(head)
	if !h.IsUpgrade() || !OriginAllowed(h.Origin(), h.Host(), origins) {
		tb.Fatal("not an upgrade, or not from here")
	}
	key, err := h.CheckUpgrade()
	if err != nil {
		tb.Fatal(err)
	}
	dst, err = AppendSwitching(dst, key, SelectSubprotocol(h, server), "", nil)
	if err != nil {
		tb.Fatal(err)
	}
	return dst
}

// The whole hot path, parse to answer, takes no memory: nor do refusals.
func TestNoAllocations(t *testing.T) {
	p := new(Parser)
	out := make([]byte, 0, 1024)
	small, browser := []byte(headSmall), []byte(headBrowser)
	server := []string{"chat.v2", "chat.v1"}
	ipv6 := []byte("GET ws://[2001:db8::1]:8000/ws HTTP/1.1\r\nHost: [2001:db8::1]:8000\r\n\r\n")
	bad := []byte("GET /ws HTTP/1.1\r\nHost : x\r\n\r\n")
	for name, f := range map[string]func(){
		"small":   func() { out = answer(t, p, out[:0], small, nil, nil) },
		"browser": func() { out = answer(t, p, out[:0], browser, server, nil) },
		"refused": func() {
			p.Reset()
			_, err := p.Request(bad)
			e := err.(*Error)
			out = AppendError(out[:0], e.Status, e.Reason, nil)
		},
		"ipv6": func() {
			p.Reset()
			if n, err := p.Request(ipv6); n != len(ipv6) || err != nil {
				t.Fatal(n, err)
			}
		},
		"headers": func() {
			p.Reset()
			p.Request(ipv6)
			for range p.Head(ipv6).Each {
			}
			for range p.Head(ipv6).Values("Host") {
			}
			for range p.Head(ipv6).Subprotocols {
			}
			p.Head(ipv6).Header("X-None")
			p.Head(ipv6).Cookie("none")
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkParseCheckAppend(b *testing.B) {
	for _, bb := range []struct{ name, head string }{
		{"small", headSmall},
		{"browser", headBrowser},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := new(Parser)
			head := []byte(bb.head)
			out := make([]byte, 0, 1024)
			server := []string{"chat.v2", "chat.v1"}
			b.SetBytes(int64(len(head)))
			b.ReportAllocs()
			for b.Loop() {
				out = answer(b, p, out[:0], head, server, nil)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	p := new(Parser)
	head := []byte(headBrowser)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		p.Reset()
		if n, err := p.Request(head); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// One byte a call: the slow client costs per byte, not per byte squared.
func BenchmarkParseByteByByte(b *testing.B) {
	p := new(Parser)
	head := []byte(headBrowser)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		p.Reset()
		for i := range head {
			p.Request(head[:i+1])
		}
	}
}

func BenchmarkAppendAccept(b *testing.B) {
	key := []byte("dGhlIHNhbXBsZSBub25jZQ==")
	out := make([]byte, 0, 28)
	for b.Loop() {
		out = AppendAccept(out[:0], key)
	}
}

// The worst list: empty elements up to the limit of the head.
func BenchmarkEmptyElements(b *testing.B) {
	const start = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: "
	head := []byte(start + strings.Repeat(",", MaxHead-len(start)-4) + "\r\n\r\n")
	p := new(Parser)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		p.Reset()
		if n, err := p.Request(head); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
		if p.Head(head).IsUpgrade() {
			b.Fatal("an upgrade")
		}
	}
}
