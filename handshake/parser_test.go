package handshake

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// feed gives in to a fresh Parser in pieces that end at cuts and at its end,
// each time at a new address, and returns all that can be seen of the result.
func feed(in string, answer bool, cuts ...int) string {
	p := new(Parser)
	parse := p.Request
	if answer {
		parse = p.Response
	}
	for _, cut := range append(cuts, len(in)) {
		b := []byte(in[:cut])
		n, err := parse(b)
		again, err2 := parse(b)
		if again != n || err2 != err {
			return fmt.Sprintf("after %d bytes: %d, %v; called again: %d, %v", cut, n, err, again, err2)
		}
		clear(b) // views are not kept
		if err != nil {
			return err.Error()
		}
		if n > 0 {
			return fmt.Sprint(n, " ", dump(p.Head([]byte(in))))
		}
	}
	return "more"
}

// dump prints every view of a head.
func dump(h Head) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%q %q %q %q %v minor %d status %d host %q len %d\n", h.Method(), h.Target(), h.Path(),
		h.RawQuery(), h.RawQuery() == nil, h.Minor(), h.Status(), h.Host(), h.Len())
	for name, value := range h.Each {
		fmt.Fprintf(&s, "%q=%q\n", name, value)
	}
	key, err := h.CheckUpgrade()
	fmt.Fprintf(&s, "upgrade %v key %q %v\n", h.IsUpgrade(), key, err)
	sub, err := h.CheckResponse("dGhlIHNhbXBsZSBub25jZQ==", []string{"chat.v1"}, "")
	fmt.Fprintf(&s, "response %q %v\n", sub, err)
	for sub := range h.Subprotocols {
		fmt.Fprintf(&s, "%q,", sub)
	}
	return s.String()
}

// everyCut feeds in whole, byte by byte and at every two-way split, demands the
// same result of all and returns it.
func everyCut(t *testing.T, in string, answer bool) string {
	t.Helper()
	want := feed(in, answer)
	for cut := range len(in) {
		if got := feed(in, answer, cut); got != want {
			t.Fatalf("cut at %d:\n%s\nuncut:\n%s", cut, got, want)
		}
	}
	var cuts []int
	for cut := range len(in) {
		cuts = append(cuts, cut)
	}
	if got := feed(in, answer, cuts...); got != want {
		t.Fatalf("byte by byte:\n%s\nuncut:\n%s", got, want)
	}
	return want
}

// decides demands that the last byte of in, and no earlier one, is refused.
func decides(t *testing.T, in string, answer bool, status int, reason string) {
	t.Helper()
	p := new(Parser)
	parse := p.Request
	if answer {
		parse = p.Response
	}
	if n, err := parse([]byte(in[:len(in)-1])); n != 0 || err != nil {
		t.Errorf("without the last byte: %d, %v; want 0 and no error", n, err)
	}
	n, err := parse([]byte(in))
	e, ok := err.(*Error)
	if n != 0 || !ok || e.Status != status || !strings.Contains(e.Reason, reason) {
		t.Errorf("%d, %v; want 0 and status %d, %q", n, err, status, reason)
	}
	if _, again := parse([]byte(in + " more \r\n\r\n")); again != err {
		t.Errorf("with more: %v; want the same error", again)
	}
	everyCut(t, in, answer)
	everyCut(t, in+"\r\n\r\n", answer)
}

// Each string ends at the byte that decides.
func TestRequestRefused(t *testing.T) {
	const get = "GET / HTTP/1.1\r\n"
	const post = "POST / HTTP/1.1\r\nHost: h\r\n"
	for _, tt := range []struct {
		name, in string
		status   int
		reason   string
	}{
		{"TLS", "\x16", 400, "method"},
		{"NUL", "\x00", 400, "method"},
		{"space first", " ", 400, "method"},
		{"LF first", "\n", 400, "method"},
		{"two empty lines", "\r\n\r", 400, "method"},
		{"CR CR", "\r\r", 400, "CR without LF"},
		{"method with a comma", "GET,", 400, "method"},
		{"method in brackets", "(", 400, "method"},
		{"method alone", "GET\r", 400, "method"},
		{"CONNECT", "CONNECT ", 501, "CONNECT"},
		{"no target", "GET  ", 400, "target"},
		{"target with tab", "GET /a\t", 400, "target"},
		{"target with control", "GET /a\x01", 400, "target"},
		{"target with DEL", "GET /a\x7f", 400, "target"},
		{"target not ASCII", "GET /\xc3", 400, "target"},
		{"target with fragment", "GET /a#", 400, "target"},
		{"target with space", "GET /a b", 400, "version"},
		{"relative target", "GET ws ", 400, "target"},
		{"authority as target", "GET example.com:80 ", 400, "target"},
		{"strange scheme", "GET ftp://h/ ", 400, "target"},
		{"scheme, no authority", "GET http:/h ", 400, "target"},
		{"empty authority", "GET http:///ws ", 400, "target"},
		{"userinfo", "GET http://u@h/ ", 400, "target"},
		{"bad port", "GET http://h:8o/ ", 400, "target"},
		{"half an escape", "GET /%4 ", 400, "target"},
		{"wrong escape", "GET /%zz ", 400, "target"},
		{"star for GET", "GET * HTTP/1.1\r", 400, "target"},
		{"HTTP/0.9, line end", "GET /\r", 400, "target"},
		{"HTTP/0.9, named", "GET / HTTP/0", 505, "HTTP/1.1"},
		{"HTTP/2.0", "PRI * HTTP/2", 505, "HTTP/1.1"},
		{"HTTP/10", "GET / HTTP/10", 400, "version"},
		{"HTTP/1.10", "GET / HTTP/1.10", 400, "version"},
		{"HTTP/1.", "GET / HTTP/1.\r", 400, "version"},
		{"lower case", "GET / h", 400, "version"},
		{"no version", "GET / \r", 400, "version"},
		{"space behind", "GET / HTTP/1.1 ", 400, "version"},
		{"request line LF only", "GET / HTTP/1.1\n", 400, "CR LF"},
		{"request line CR only", "GET / HTTP/1.1\rH", 400, "CR without LF"},
		{"header LF only", get + "Host: h\n", 400, "CR LF"},
		{"header CR only", get + "Host: h\rX", 400, "CR without LF"},
		{"blank line LF only", get + "Host: h\r\n\n", 400, "CR LF"},
		{"blank line CR only", get + "Host: h\r\n\rX", 400, "CR without LF"},
		{"folded", get + "Host: h\r\nX: a\r\n ", 400, "folded"},
		{"folded with tab", get + "Host: h\r\nX: a\r\n\t", 400, "folded"},
		{"first line folded", get + " ", 400, "folded"},
		{"space before colon", get + "Host ", 400, "space before"},
		{"tab before colon", get + "Host\t", 400, "space before"},
		{"line begins with NUL", get + "\x00", 400, "header name"},
		{"no name", get + ":", 400, "empty header name"},
		{"no colon", get + "Host\r", 400, "header name"},
		{"name not ASCII", get + "H\xc3", 400, "header name"},
		{"name with brackets", get + "X(", 400, "header name"},
		{"name with NUL", get + "X\x00", 400, "header name"},
		{"name LF", get + "X\n", 400, "CR LF"},
		{"value with NUL", get + "X: a\x00", 400, "control"},
		{"value with ESC", get + "X: abcdefghij\x1b", 400, "control"},
		{"value with DEL", get + "X: \t\x7f", 400, "control"},
		{"two Hosts", get + "Host: h\r\nhOST:", 400, "more than one Host"},
		{"no Host", get + "\r\n", 400, "no Host"},
		{"no Host, absolute", "GET http://h/ HTTP/1.1\r\nX: y\r\n\r\n", 400, "no Host"},
		{"Host with space", get + "Host: a b\r", 400, "malformed Host"},
		{"Host with slash", get + "Host: a/b\r", 400, "malformed Host"},
		{"Host with user", get + "Host: u@h\r", 400, "malformed Host"},
		{"Host with a long port", get + "Host: h:123456\r", 400, "malformed Host"},
		{"Host list", get + "Host: a:80,b:81\r", 400, "malformed Host"},
		{"Host IPv6 bare", get + "Host: 2001:db8::1\r", 400, "malformed Host"},
		{"length empty", post + "Content-Length:\r\n\r\n", 400, "malformed Content-Length"},
		{"length signed", post + "Content-Length: +5\r\n\r\n", 400, "malformed Content-Length"},
		{"length below 0", post + "Content-Length: -5\r\n\r\n", 400, "malformed Content-Length"},
		{"length hexadecimal", post + "Content-Length: 0x5\r\n\r\n", 400, "malformed Content-Length"},
		{"length of 64 bits", post + "Content-Length: 9223372036854775808\r\n\r\n", 400, "malformed Content-Length"},
		{"length list", post + "Content-Length: 5, 5\r\n\r\n", 400, "malformed Content-Length"},
		{"two equal lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "more than one Content-Length"},
		{"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "more than one Content-Length"},
		{"length and chunks", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "together"},
		{"chunks and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "together"},
		{"gzip", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer coding"},
		{"identity", post + "Transfer-Encoding: identity\r\n\r\n", 501, "transfer coding"},
		{"no coding", post + "Transfer-Encoding:\r\n\r\n", 501, "transfer coding"},
		{"chunks twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "transfer coding"},
		{"chunks, vertical tab", post + "Transfer-Encoding: \x0b", 400, "control"},
		{"chunks of HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "needs HTTP/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) { decides(t, tt.in, false, tt.status, tt.reason) })
	}
}

func TestRequestAccepted(t *testing.T) {
	const host = "Host: h\r\n\r\n"
	for _, tt := range []struct{ name, in, method, target, path, query, host string }{
		{"plain", "GET / HTTP/1.1\r\n" + host, "GET", "/", "/", "-", "h"},
		{"empty line first", "\r\nGET /a HTTP/1.1\r\n" + host, "GET", "/a", "/a", "-", "h"},
		{"query", "GET /a?b=c&d HTTP/1.1\r\n" + host, "GET", "/a?b=c&d", "/a", "b=c&d", "h"},
		{"empty query", "GET /a? HTTP/1.1\r\n" + host, "GET", "/a?", "/a", "", "h"},
		{"two question marks", "GET /?a?b HTTP/1.1\r\n" + host, "GET", "/?a?b", "/", "a?b", "h"},
		{"escapes", "GET /%41%c3%A9?%zz HTTP/1.1\r\n" + host, "GET", "/%41%c3%A9?%zz", "/%41%c3%A9", "%zz", "h"},
		{"two slashes", "GET //x/y HTTP/1.1\r\n" + host, "GET", "//x/y", "//x/y", "-", "h"},
		{"unwise", "GET /a|b{c}?\"<>^ HTTP/1.1\r\n" + host, "GET", "/a|b{c}?\"<>^", "/a|b{c}", "\"<>^", "h"},
		{"absolute", "GET http://H2:81/a?b HTTP/1.1\r\n" + host, "GET", "http://H2:81/a?b", "/a", "b", "H2:81"},
		{"absolute, ws", "GET WS://h2/a HTTP/1.1\r\n" + host, "GET", "WS://h2/a", "/a", "-", "h2"},
		{"absolute, no path", "GET wss://h2 HTTP/1.1\r\n" + host, "GET", "wss://h2", "/", "-", "h2"},
		{"absolute, query alone", "GET https://h2?b/c HTTP/1.1\r\n" + host, "GET", "https://h2?b/c", "/", "b/c", "h2"},
		{"absolute, empty query", "GET https://h2? HTTP/1.1\r\n" + host, "GET", "https://h2?", "/", "", "h2"},
		{"absolute, IPv6", "GET ws://[::1]:80/ HTTP/1.1\r\n" + host, "GET", "ws://[::1]:80/", "/", "-", "[::1]:80"},
		{"star", "OPTIONS * HTTP/1.1\r\n" + host, "OPTIONS", "*", "*", "-", "h"},
		{"star after an empty line", "\r\nOPTIONS * HTTP/1.1\r\n" + host, "OPTIONS", "*", "*", "-", "h"},
		{"own method", "!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" + host, "!#$%&'*+-.^_`|~", "/", "/", "-", "h"},
		{"HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n", "GET", "/health", "/health", "-", ""},
		{"HTTP/1.9", "GET / HTTP/1.9\r\n" + host, "GET", "/", "/", "-", "h"},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "/", "-", ""},
		{"Host with port", "GET / HTTP/1.1\r\nHOST:\t[2001:DB8::1]:8000 \t\r\n\r\n", "GET", "/", "/", "-", "[2001:DB8::1]:8000"},
		{"Host, empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "GET", "/", "/", "-", "h:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := new(Parser)
			b := []byte(tt.in + "\x81\x85") // a frame right behind
			n, err := p.Request(b)
			if n != len(tt.in) || err != nil {
				t.Fatalf("%d, %v; want %d", n, err, len(tt.in))
			}
			h := p.Head(b)
			query := "-"
			if q := h.RawQuery(); q != nil {
				query = string(q)
			}
			got := [5]string{string(h.Method()), string(h.Target()), string(h.Path()), query, string(h.Host())}
			if want := [5]string{tt.method, tt.target, tt.path, tt.query, tt.host}; got != want {
				t.Errorf("%q\nwant %q", got, want)
			}
			if got := string(h.Raw()); got != strings.TrimPrefix(tt.in, "\r\n") {
				t.Errorf("Raw = %q", got)
			}
			everyCut(t, tt.in, false)
			everyCut(t, tt.in+"\x81\x85", false)
		})
	}
}

func TestLimits(t *testing.T) {
	line := "GET / HTTP/1.1\r\nHost: h\r\n"
	lines := func(n int) string { return line + strings.Repeat("X: y\r\n", n-1) }
	decides(t, lines(MaxHeaders)+"X", false, 431, "headers")
	if got := feed(lines(MaxHeaders)+"\r\n", false); !strings.Contains(got, "len 64") {
		t.Errorf("%d headers: %s", MaxHeaders, got)
	}

	// The limit counts every byte of the head and needs no line end.
	pad := func(n int) string {
		return line + "X: " + strings.Repeat("y", n-len(line)-len("X: \r\n\r\n")) + "\r\n\r\n"
	}
	if got := feed(pad(MaxHead), false); !strings.HasPrefix(got, "8192 ") {
		t.Errorf("a head of MaxHead bytes: %.60s", got)
	}
	for name, in := range map[string]string{
		"head":   pad(MaxHead + 1),
		"value":  line + "X: " + strings.Repeat("y", 2*MaxHead),
		"name":   line + strings.Repeat("x", 2*MaxHead),
		"target": "GET /" + strings.Repeat("x", 2*MaxHead),
		"method": strings.Repeat("G", 70000),
	} {
		p := new(Parser)
		if n, err := p.Request([]byte(in[:MaxHead-1])); n != 0 || err != nil {
			t.Errorf("%s, a byte less: %d, %v", name, n, err)
		}
		if _, err := p.Request([]byte(in[:MaxHead])); err != error(ErrHeadTooLarge) {
			t.Errorf("%s: %v; want ErrHeadTooLarge", name, err)
		}
		if got, want := feed(in, false), ErrHeadTooLarge.Error(); got != want {
			t.Errorf("%s, at once: %s", name, got)
		}
	}
	if got := feed(line+"X: \x00"+strings.Repeat("y", 2*MaxHead), false); !strings.Contains(got, "control") {
		t.Errorf("a bad byte before the limit: %s", got)
	}
}

func TestReset(t *testing.T) {
	p := new(Parser)
	for _, in := range []string{headBrowser, "GET / HTTP/1.1\r\nX\x00", headSmall, "\r\nGET ws://h", headSmall, headBrowser} {
		p.Reset()
		n, err := p.Request([]byte(in))
		if n == 0 {
			continue
		}
		fresh := new(Parser)
		fresh.Request([]byte(in))
		if got, want := dump(p.Head([]byte(in))), dump(fresh.Head([]byte(in))); err != nil || got != want {
			t.Errorf("after Reset %v\n%s\nwant\n%s", err, got, want)
		}
	}
}

func TestHeadTooEarly(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Head of half a head did not panic")
		}
	}()
	p := new(Parser)
	p.Request([]byte("GET / HTTP/1.1\r\n"))
	p.Head([]byte("GET / HTTP/1.1\r\n"))
}

func TestParserSize(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 1024 {
		t.Errorf("a Parser has %d bytes, want 1024 at most", size)
	}
}

// control against the definition, with every byte at every place of a word.
func TestControl(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte("\tabc\x80\xff ~\t0123456789abcdef")
			b[at] = byte(c)
			want := len(b)
			if c < ' ' && c != '\t' || c == 0x7f {
				want = at
			}
			if got := control(b, 0); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", c, at, got, want)
			}
		}
	}
}
