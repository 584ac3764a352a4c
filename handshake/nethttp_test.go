package handshake

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// verdict is what became of a head: read, and asking for (or granting) an upgrade.
type verdict string

const (
	upgrades verdict = "an upgrade"
	plain    verdict = "plain HTTP"
	refused  verdict = "refused"
)

// Our reading of requests beside net/http's. Where the two differ stands why; that net/http
// knows nothing of RFC 6455's own demands is no difference.
func TestBesideNetHTTP(t *testing.T) {
	const rest = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const get = "GET /ws HTTP/1.1\r\n"
	for _, tt := range []struct {
		name, in string
		ours     verdict
		theirs   verdict
		why      string // they differ
	}{
		{"as in RFC 6455", get + rest + "\r\n", upgrades, upgrades, ""},
		{"names in any case", "GET /ws HTTP/1.1\r\n" + strings.ToLower(rest[:strings.Index(rest, "Sec")]) + rest[strings.Index(rest, "Sec"):] + "\r\n", upgrades, upgrades, ""},
		{"upper-case values", get + strings.NewReplacer("websocket", "WebSocket", ": Upgrade", ": UPGRADE").Replace(rest) + "\r\n", upgrades, upgrades, ""},
		{"lists", get + strings.NewReplacer("websocket\r", "h2c , websocket\r", ": Upgrade", ": keep-alive,\tUpgrade").Replace(rest) + "\r\n", upgrades, upgrades, ""},
		{"lists over lines", get + strings.NewReplacer("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade").Replace(rest) + "\r\n", upgrades, upgrades, ""},
		{"empty list elements", get + strings.NewReplacer(": Upgrade", ": ,, Upgrade ,").Replace(rest) + "\r\n", upgrades, upgrades, ""},
		{"no space after the colon", get + strings.ReplaceAll(rest, ": ", ":") + "\r\n", upgrades, upgrades, ""},
		{"space and tab around values", get + strings.ReplaceAll(strings.ReplaceAll(rest, ": ", ":  \t"), "\r\n", " \t\r\n") + "\r\n", upgrades, upgrades, ""},
		{"other than ASCII in a value", get + rest + "X: \xe4\xf6\r\n\r\n", upgrades, upgrades, ""},
		{"an empty value", get + rest + "X:\r\n\r\n", upgrades, upgrades, ""},
		{"HTTP/1.2", "GET /ws HTTP/1.2\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"absolute-form", "GET http://h/ws HTTP/1.1\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"absolute-form of ws", "GET ws://h/ws HTTP/1.1\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"raw characters that browsers send", "GET /ws?a={b}|c^`\"<> HTTP/1.1\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"an escape", "GET /w%73?a=%zz HTTP/1.1\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"a body of nothing", get + rest + "Content-Length: 0\r\n\r\n", upgrades, upgrades, ""},
		{"Expect", get + rest + "Expect: 100-continue\r\n\r\n", upgrades, upgrades, ""},
		{"HTTP/1.0", "GET /ws HTTP/1.0\r\n" + rest + "\r\n", plain, upgrades, "RFC 9110 §7.8: its Upgrade is ignored; net/http leaves that to handlers"},
		{"HTTP/1.0, no Host", "GET / HTTP/1.0\r\n\r\n", plain, plain, ""},
		{"no Upgrade", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", plain, plain, ""},
		{"POST with a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", plain, plain, ""},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", plain, plain, ""},
		{"an empty line first", "\r\n" + get + rest + "\r\n", upgrades, refused, "RFC 9112 §2.2: at least one should be ignored"},
		{"two empty lines first", "\r\n\r\n" + get + rest + "\r\n", refused, refused, ""},
		{"lines ended by LF", strings.ReplaceAll(get+rest+"\r\n", "\r\n", "\n"), refused, upgrades, "RFC 9112 §2.2 allows to take it; what takes it differently from the proxy in front is smuggling"},
		{"a folded line", get + rest + "X: a\r\n b\r\n\r\n", refused, upgrades, "RFC 9112 §5.2: a server refuses or replaces it"},
		{"space before the colon", get + rest + "X : a\r\n\r\n", refused, upgrades, "RFC 9112 §5.1: a server must refuse it; net/http keeps the space in the name"},
		{"a name that is no token", get + rest + "X(: a\r\n\r\n", refused, refused, ""},
		{"no name", get + rest + ": a\r\n\r\n", refused, refused, ""},
		{"a line without a colon", get + rest + "X\r\n\r\n", refused, refused, ""},
		{"NUL in a value", get + rest + "X: a\x00b\r\n\r\n", refused, refused, ""},
		{"DEL in a value", get + rest + "X: a\x7fb\r\n\r\n", refused, refused, ""},
		{"CR in a value", get + rest + "X: a\rb\r\n\r\n", refused, refused, ""},
		{"two spaces in the request line", "GET  /ws HTTP/1.1\r\n" + rest + "\r\n", refused, refused, ""},
		{"no version", "GET /ws\r\n" + rest + "\r\n", refused, refused, ""},
		{"HTTP/2.0", "GET /ws HTTP/2.0\r\n" + rest + "\r\n", refused, upgrades, "only HTTP/1.x is read here"},
		{"a fragment", "GET /ws#a HTTP/1.1\r\n" + rest + "\r\n", refused, upgrades, "RFC 6455 §3: there is none; RFC 9112 §3.2"},
		{"a bad escape in the path", "GET /w%7 HTTP/1.1\r\n" + rest + "\r\n", refused, refused, ""},
		{"a relative target", "GET ws HTTP/1.1\r\n" + rest + "\r\n", refused, refused, ""},
		{"GET *", "GET * HTTP/1.1\r\n" + rest + "\r\n", refused, upgrades, "RFC 9112 §3.2.4: for OPTIONS alone"},
		{"no Host", get + strings.TrimPrefix(rest, "Host: h\r\n") + "\r\n", refused, upgrades, "RFC 9112 §3.2; net/http's server refuses it later"},
		{"two Hosts", get + "Host: h\r\n" + rest + "\r\n", refused, refused, ""},
		{"a Host with a path", get + strings.Replace(rest, "Host: h", "Host: h/a", 1) + "\r\n", refused, upgrades, "RFC 9110 §7.2; net/http's server refuses it later"},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", plain, plain, ""},
		{"a bad length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", refused, refused, ""},
		{"two equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", refused, plain, "RFC 9110 §8.6 allows either"},
		{"a length and chunks", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, plain, "RFC 9112 §6.3: it ought to be handled as an error"},
		{"another coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", refused, refused, ""},
		{"chunks of HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, plain, "RFC 9112 §6.1: its framing is faulty; net/http takes the chunks for the next request"},
		{"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", refused, plain, "no proxy is spoken here"},
	} {
		p := new(Parser)
		ours := refused
		n, err := p.Request([]byte(tt.in))
		if n > 0 && err == nil {
			ours = plain
			if h := p.Head([]byte(tt.in)); h.IsUpgrade() {
				ours = upgrades
				if _, err := h.CheckUpgrade(); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
		}
		theirs := refused
		if r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(tt.in))); err == nil {
			theirs = plain
			for _, v := range r.Header.Values("Upgrade") {
				if strings.Contains(strings.ToLower(v), "websocket") {
					theirs = upgrades
				}
			}
		}
		if ours != tt.ours || theirs != tt.theirs {
			t.Errorf("%s: %s, net/http: %s; want %s, %s (%v)", tt.name, ours, theirs, tt.ours, tt.theirs, err)
		}
		if (tt.ours != tt.theirs) != (tt.why != "") {
			t.Errorf("%s: a difference without a reason, or the other way round", tt.name)
		}
	}
}

// The same of responses, for the client.
func TestResponsesBesideNetHTTP(t *testing.T) {
	const rest = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const line = "HTTP/1.1 101 Switching Protocols\r\n"
	for _, tt := range []struct {
		name, in string
		ours     verdict
		theirs   verdict
		why      string
	}{
		{"as in RFC 6455", line + rest + "\r\n", upgrades, upgrades, ""},
		{"no reason phrase", "HTTP/1.1 101 \r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"no reason, no space", "HTTP/1.1 101\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"another reason", "HTTP/1.1 101 W\xe4chsel\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"HTTP/1.2", "HTTP/1.2 101 x\r\n" + rest + "\r\n", upgrades, upgrades, ""},
		{"upper case and lists", line + strings.NewReplacer("websocket", "WebSocket", ": Upgrade", ": keep-alive, UPGRADE").Replace(rest) + "\r\n", upgrades, upgrades, ""},
		{"a folded line", line + strings.Replace(rest, ": websocket", ":\r\n websocket", 1) + "\r\n", upgrades, upgrades, ""},
		{"a length, which means nothing", line + rest + "Content-Length: 0\r\n\r\n", upgrades, upgrades, ""},
		{"an interim response", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", plain, plain, ""},
		{"a refusal", "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", plain, plain, ""},
		{"HTTP/1.0", "HTTP/1.0 101 x\r\n" + rest + "\r\n", refused, upgrades, "RFC 9110 §7.8: an upgrade is of HTTP/1.1"},
		{"lines ended by LF", strings.ReplaceAll(line+rest+"\r\n", "\r\n", "\n"), refused, upgrades, "RFC 9112 §2.2 allows either"},
		{"status of two digits", "HTTP/1.1 99 x\r\n" + rest + "\r\n", refused, refused, ""},
		{"space before a colon", line + rest + "X : y\r\n\r\n", refused, upgrades, "RFC 9112 §5.1: no such name; net/http keeps the space in it"},
		{"an empty line first", "\r\n" + line + rest + "\r\n", refused, refused, ""},
	} {
		p := new(Parser)
		ours := refused
		b := []byte(tt.in)
		n, err := p.Response(b)
		if n > 0 && err == nil {
			ours = plain
			if h := p.Head(b); h.Status() == http.StatusSwitchingProtocols {
				ours = upgrades
				if _, err = h.CheckResponse("dGhlIHNhbXBsZSBub25jZQ==", nil, ""); err != nil {
					ours = refused
				}
			}
		}
		theirs := refused
		if r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(tt.in)), nil); err == nil {
			theirs = plain
			if r.StatusCode == http.StatusSwitchingProtocols {
				theirs = upgrades
			}
		}
		if ours != tt.ours || theirs != tt.theirs {
			t.Errorf("%s: %s, net/http: %s; want %s, %s (%v)", tt.name, ours, theirs, tt.ours, tt.theirs, err)
		}
		if (tt.ours != tt.theirs) != (tt.why != "") {
			t.Errorf("%s: a difference without a reason, or the other way round", tt.name)
		}
	}
}
