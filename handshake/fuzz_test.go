package handshake

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// requestSeeds are heads with something of everything in them.
var requestSeeds = []string{
	headSmall,
	headBrowser,
	headSmall + "\x81\x85\x00\x00\x00\x00hello",
	"\r\nGET ws://[::1]:8000?x HTTP/1.1\r\nHost:\r\nX:\t\xe9\t\r\n\r\n",
	"GET http://u@h HTTP/1.1\r\nHost: h\r\n\r\n",
	"OPTIONS * HTTP/1.0\r\n\r\n",
	"GET /%41?%zz HTTP/1.1\r\nHost: a:1\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : h\r\n folded\r\n\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n12345",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: ,WebSocket\r\nConnection: x,upgrade\r\nSec-WebSocket-Protocol: bearer.a,b\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X:\r\n", MaxHeaders) + "\r\n",
}

// cutsOf makes ascending cuts within n from fuzz input: few enough for a fuzzer
// that likes long input. (The tables cut everywhere.)
func cutsOf(cuts []byte, n int) (at []int) {
	pos := 0
	for _, c := range cuts[:min(len(cuts), 64)] {
		if pos += 1 + int(c); pos >= n {
			break
		}
		at = append(at, pos)
	}
	return at
}

// Any split gives what no split gives, and what we accept net/http accepts too,
// and reads as we do.
func FuzzParser(f *testing.F) {
	for _, s := range requestSeeds {
		f.Add([]byte(s), []byte{1, 1, 1, 30, 2, 200})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if got, want := feed(string(in), false, cutsOf(cuts, len(in))...), feed(string(in), false); got != want {
			t.Fatalf("split:\n%s\nwhole:\n%s", got, want)
		}
		checkRequest(t, in)
	})
}

// Every seed with one byte changed, left out or put in, at every place: far more
// heads that almost are right than a fuzzer finds.
func TestEveryByteChanged(t *testing.T) {
	const bytesTried = "\x00\t\n\r \"#%(),/0129:;=?@AZ[]az\x7f\x80\xff"
	for _, seed := range requestSeeds {
		for at := range min(len(seed), 256) {
			checkRequest(t, []byte(seed[:at]+seed[at+1:]))
			for _, c := range []byte(bytesTried) {
				checkRequest(t, []byte(seed[:at]+string([]byte{c})+seed[at+1:]))
				checkRequest(t, []byte(seed[:at]+string([]byte{c})+seed[at:]))
			}
		}
	}
}

// checkRequest does all that is done with a request, and asks net/http about it
// if we accept it.
func checkRequest(t *testing.T, in []byte) {
	p := new(Parser)
	n, err := p.Request(in)
	if n == 0 || err != nil {
		return
	}
	h := p.Head(in)
	if n > MaxHead || h.Len() > MaxHeaders || !bytes.HasSuffix(h.Raw(), []byte("\r\n\r\n")) {
		t.Fatalf("%d bytes, %d headers: %q", n, h.Len(), in[:n])
	}
	OriginAllowed(h.Origin(), h.Host(), []string{"http://h"})
	ForwardedFor(h, netip.MustParseAddr("10.0.0.1"), []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	h.Cookie("a")
	SelectSubprotocol(h, []string{"chat.v1"})
	h.CheckUpgrade()
	sameAsNetHTTP(t, h)
}

func sameAsNetHTTP(t *testing.T, h Head) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(h.Raw())))
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", h.Raw(), err)
	}
	if r.Method != string(h.Method()) || r.RequestURI != string(h.Target()) || r.Host != string(h.Host()) ||
		r.URL.RawQuery != string(h.RawQuery()) || r.ProtoMajor != 1 || r.ProtoMinor != h.Minor() {
		t.Fatalf("net/http reads %s %s host %q query %q 1.%d", r.Method, r.RequestURI, r.Host, r.URL.RawQuery, r.ProtoMinor)
	}
	path := r.URL.Path
	if path == "" {
		path = "/"
	}
	if got := string(h.Path()); !strings.Contains(got, "%") && got != path {
		t.Fatalf("net/http reads path %q, we %q", path, got)
	}
	want := http.Header{}
	for name, value := range h.Each {
		key := http.CanonicalHeaderKey(string(name))
		want[key] = append(want[key], string(value))
	}
	want.Del("Host") // net/http keeps it apart
	for name, values := range r.Header {
		if name == "Cache-Control" && want[name] == nil && want["Pragma"] != nil {
			continue // added by net/http for HTTP/1.0 caches
		}
		if strings.Join(values, "\n") != strings.Join(want[name], "\n") {
			t.Fatalf("net/http reads %s as %q, we as %q", name, values, want[name])
		}
	}
	for name := range want {
		if name != "Content-Length" && name != "Transfer-Encoding" && name != "Trailer" && r.Header[name] == nil {
			t.Fatalf("net/http does not see %q", name)
		}
	}
}

// Any split gives what no split gives; what is accepted as an opening handshake
// is one for net/http too.
func FuzzCheckResponse(f *testing.F) {
	for _, s := range []string{
		switching + "\r\n",
		switching + "Sec-WebSocket-Protocol: chat.v1\r\n\r\n\x81\x00",
		switching + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		"HTTP/1.1 101\r\nUpgrade: WEBSOCKET\r\nConnection: a,Upgrade\r\nSec-WebSocket-Accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
		string(AppendError(nil, 426, "no", nil)),
		"HTTP/1.0 200 OK\r\n\r\n",
		"HTTP/1.1 099 \r\n\r\n",
	} {
		f.Add([]byte(s), []byte{1, 1, 1, 30, 2, 200})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if got, want := feed(string(in), true, cutsOf(cuts, len(in))...), feed(string(in), true); got != want {
			t.Fatalf("split:\n%s\nwhole:\n%s", got, want)
		}
		p := new(Parser)
		n, err := p.Response(in)
		if n == 0 || err != nil {
			return
		}
		h := p.Head(in)
		sub, err := h.CheckResponse(key, []string{"chat.v1", "b"}, "")
		if err != nil {
			if sub != "" {
				t.Fatalf("%q together with %v", sub, err)
			}
			return
		}
		// Content-Length on a 101 means nothing, but net/http would judge it.
		if h.has(kindContentLength) || h.has(kindTransferEncoding) {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in[:n])), nil)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", in[:n], err)
		}
		if r.StatusCode != 101 || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
			r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
			r.Header.Get("Sec-WebSocket-Protocol") != sub {
			t.Fatalf("net/http reads %d %v", r.StatusCode, r.Header)
		}
	})
}

// What the Append functions write never has more lines than it should.
func FuzzAppend(f *testing.F) {
	f.Add("example.com", "/ws?x", "chat.v1", "X-A", "b")
	f.Add("[::1]:80", "/\r\n", "a,b", "X:", "a\r\nb: c")
	f.Fuzz(func(t *testing.T, host, target, subprotocol, name, value string) {
		header := http.Header{name: {value}}
		out, err := AppendRequest(nil, host, target, key, []string{subprotocol}, "", header)
		if err == nil && len(out) < MaxHead {
			p := new(Parser)
			if n, err := p.Request(out); n != len(out) || err != nil {
				t.Fatalf("our server refuses %q: %d, %v", out, n, err)
			}
			if h := p.Head(out); h.Len() != 7 || string(h.Header(name)) != strings.Trim(value, " \t") || string(h.Host()) != host {
				t.Fatalf("our server reads\n%s", dump(h))
			}
			sameAsNetHTTP(t, p.Head(out))
		}
		out, err = AppendSwitching(nil, []byte(key), subprotocol, "", header)
		if err == nil && len(out) < MaxHead {
			p := new(Parser)
			if n, err := p.Response(out); n != len(out) || err != nil {
				t.Fatalf("our client refuses %q: %d, %v", out, n, err)
			}
			if sub, err := p.Head(out).CheckResponse(key, []string{subprotocol}, ""); err != nil || sub != subprotocol {
				t.Fatalf("our client says %q, %v", sub, err)
			}
		}
		out = AppendError(nil, 403, value, header)
		p := new(Parser)
		n, err := p.Response(out)
		if len(out) < MaxHead && (err != nil || string(out[n:]) != value+"\n") {
			t.Fatalf("our client reads %q as %d, %v", out, n, err)
		}
	})
}

// Our IPv6 and port rules against package netip.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1:2:3:4:5:1.2.3.4", ":1.2.3.4", "1.2.3.4",
		"::01.2.3.4", "::256.1.1.1", "::1.2.3", "::1.2.3.4.5", "::0.0.0.0", "12345::", ":1", "1:", ":::", "1:::2", "::1::", "::1%eth0",
		"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::g", "", "::a.1.1.1", "::1234.1.1.1", "::1.", "::00.0.0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		want := err == nil && a.Is6() && a.Zone() == "" && strings.IndexByte(s, '%') < 0
		if got := validIPv6(s); got != want {
			t.Fatalf("validIPv6(%q) = %v, netip says %v", s, got, err)
		}
		if got := validHost("[" + s + "]:80"); got != want {
			t.Fatalf("validHost([%q]:80) = %v", s, got)
		}
		want = err == nil && a.Is4()
		if got := validIPv4(s); got != want {
			t.Fatalf("validIPv4(%q) = %v, netip says %v", s, got, err)
		}
	})
}
