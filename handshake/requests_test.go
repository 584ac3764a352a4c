package handshake

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// passed gives in to a fresh Requests in pieces that end at cuts and at its end. For each request it has what the other
// reader gets of it, and last how the bytes end.
func passed(in []byte, limits Limits, cuts ...int) (requests []string, end string) {
	r := &Requests{Limits: limits}
	at, now := 0, ""
	for _, cut := range append(slices.Clone(cuts), len(in)) {
		for at < cut {
			b := bytes.Clone(in[at:cut])
			skip, n, err := r.Scan(b)
			if err != nil {
				_, again, err2 := r.Scan(b)
				if n != 0 || again != 0 || err2 != err {
					return requests, fmt.Sprintf("%d bytes with %v, then %d with %v", n, err, again, err2)
				}
				return requests, fmt.Sprintf("%v, in the head: %v", err, r.InHead())
			}
			if n == 0 {
				return requests, "stuck"
			}
			now += string(b[skip:n])
			clear(b)
			if at += n; r.InHead() && !r.Begun() {
				requests, now = append(requests, now), ""
			}
		}
	}
	switch {
	case r.Begun():
		return requests, "in a head"
	case r.InHead():
		return requests, "between"
	}
	return requests, "in a body"
}

// TestRequests: requests behind one another, and how the bytes end.
func TestRequests(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
	const chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	const malformed = "handshake: malformed chunk (400), in the head: false"
	for _, tt := range []struct {
		name, in string
		n        int
		end      string
	}{
		{"none", "", 0, "between"},
		{"one", get, 1, "between"},
		{"a part of a head", get + get[:20], 1, "in a head"},
		{"a body", post + "GET /" + get, 2, "between"},
		{"a part of a body", get + post + "GET ", 1, "in a body"},
		{"chunks", chunked + "5\r\nhello\r\n1A;x=\"y\"\r\n" + strings.Repeat("\n", 26) + "\r\n0\r\n\r\n" + get, 2, "between"},
		{"chunks, an empty body", chunked + "0\r\n\r\n" + get, 2, "between"},
		{"chunks, many zeros", chunked + "000000000000005\r\nhello\r\n000\r\n\r\n" + get, 2, "between"},
		{"trailer fields", chunked + "0\r\nX: y\r\nZ:\r\n\r\n" + get, 2, "between"},
		{"a part of trailer fields", chunked + "0\r\nX: y\r\n", 0, "in a body"},
		{"an empty line in front", "\r\n" + get + "\r\n" + post + "12345\r\n" + get, 3, "between"},
		{"two empty lines in front", get + "\r\n\r\n" + get, 1, "handshake: malformed method (400), in the head: true"},
		{"CR in front", get + "\r" + get, 1, "handshake: CR without LF (400), in the head: true"},
		{"a body that is too long", post + "12345(" + get, 1, "handshake: malformed method (400), in the head: true"},
		{"a second head with LF alone", get + "GET / HTTP/1.1\nHost: h\n\n", 1, "handshake: line not ended by CR LF (400), in the head: true"},
		{"a second head with length and chunks", get + strings.Replace(chunked, "Host", "Content-Length: 5\r\nHost", 1) + "0\r\n\r\n", 1,
			"handshake: Content-Length and Transfer-Encoding together (400), in the head: true"},
		{"no size", chunked + "\r\n", 0, malformed},
		{"no digit", chunked + ";x\r\n", 0, malformed},
		{"space in front of a size", chunked + " 5\r\nhello\r\n", 0, malformed},
		{"space behind a size", chunked + "5 \r\nhello\r\n", 0, malformed},
		{"a sign", chunked + "+5\r\nhello\r\n", 0, malformed},
		{"0x", chunked + "0x5\r\nhello\r\n", 0, malformed},
		{"a size of 16 digits", chunked + "0000000000000005\r\nhello\r\n", 0, malformed},
		{"a size ended by LF", chunked + "5\nhello\r\n", 0, malformed},
		{"a size ended by CR", chunked + "5\rhello\r\n", 0, malformed},
		{"an extension ended by LF", chunked + "5;x\nhello\r\n", 0, malformed},
		{"an extension without end", chunked + "5;" + strings.Repeat("x", 300), 0, malformed},
		{"a chunk that is too long", chunked + "5\r\nhello!\r\n", 0, malformed},
		{"a chunk ended by LF", chunked + "5\r\nhello\n0\r\n\r\n", 0, malformed},
		{"trailer fields with LF alone", chunked + "0\r\nX: y\n\r\n", 0, "handshake: line not ended by CR LF (400), in the head: false"},
		{"trailer fields, folded", chunked + "0\r\nX: y\r\n z\r\n\r\n", 0, "handshake: folded header line (400), in the head: false"},
		{"an end with LF alone", chunked + "0\r\n\n", 0, "handshake: line not ended by CR LF (400), in the head: false"},
		{"many trailer fields", chunked + "0\r\n" + strings.Repeat("X:\r\n", MaxHeaders+1), 0, "handshake: too many headers (431), in the head: false"},
		{"a large second head", get + "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", MaxHead), 1, "handshake: head too large (431), in the head: true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			requests, end := passed(in, Limits{})
			if len(requests) != tt.n || end != tt.end {
				t.Errorf("%d requests, then %s; want %d, %s", len(requests), end, tt.n, tt.end)
			}
			var every []int
			for cut := range min(len(in), 500) {
				every = append(every, cut)
				if got, e := passed(in, Limits{}, cut); e != end || !slices.Equal(got, requests) {
					t.Fatalf("cut at %d: %q, then %s", cut, got, e)
				}
			}
			if got, e := passed(in, Limits{}, every...); e != end || !slices.Equal(got, requests) {
				t.Fatalf("byte by byte: %q, then %s", got, e)
			}
		})
	}
}

// TestRequestsLimits: limits are those of all heads and trailers of a connection.
func TestRequestsLimits(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	in := []byte(get + "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n")
	if requests, end := passed(in, Limits{Headers: 1}); len(requests) != 1 || !strings.Contains(end, "431") {
		t.Errorf("lines: %q, then %s", requests, end)
	}
	if requests, end := passed(in, Limits{Head: len(get)}); len(requests) != 1 || !strings.Contains(end, "431") {
		t.Errorf("bytes: %q, then %s", requests, end)
	}
}

// FuzzRequests: any split gives what no split gives; and net/http, which gets what has passed, finds the same requests
// with the same ends. So nothing that a client sends is a request for one reader and a part of a body for the other.
func FuzzRequests(f *testing.F) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, s := range append(slices.Clone(requestSeeds),
		get+get,
		"\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\nhello\r\n"+get,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1a\r\n"+strings.Repeat("z", 26)+"\r\n0\r\nA: b\r\n\r\n"+get,
		"PUT / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"+get,
	) {
		f.Add([]byte(s), []byte{1, 1, 1, 30, 2, 200})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		requests, end := passed(in, Limits{})
		if got, e := passed(in, Limits{}, cutsOf(cuts, len(in))...); e != end || !slices.Equal(got, requests) {
			t.Fatalf("split: %q, then %s\nwhole: %q, then %s", got, e, requests, end)
		}
		checkRequests(t, requests)
	})
}

// TestEveryByteOfBodies is TestEveryByteChanged for requests with bodies.
func TestEveryByteOfBodies(t *testing.T) {
	const bytesTried = "\x00\t\n\r 019;:+-aAfFgxX\x7f\x80"
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, seed := range []string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nhello, world" + get,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n" + get,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + get,
	} {
		for at := range len(seed) {
			try := func(in string) {
				requests, _ := passed([]byte(in), Limits{})
				checkRequests(t, requests)
			}
			try(seed[:at] + seed[at+1:])
			for _, c := range []byte(bytesTried) {
				try(seed[:at] + string([]byte{c}) + seed[at+1:])
				try(seed[:at] + string([]byte{c}) + seed[at:])
			}
		}
	}
}

// checkRequests has net/http read whole requests: each ends for it where it ends for us, unless it refuses it.
func checkRequests(t *testing.T, requests []string) {
	r := bufio.NewReader(strings.NewReader(strings.Join(requests, "")))
	left := func() int {
		rest, _ := io.ReadAll(r)
		r.Reset(bytes.NewReader(rest))
		return len(rest)
	}
	for i, request := range requests {
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("net/http refuses the head of %q: %v", request, err)
		}
		if _, err = io.Copy(io.Discard, req.Body); err != nil {
			return // it goes no further: it has another bound on chunks, or on trailer fields
		}
		want := len(strings.Join(requests[i+1:], ""))
		if got := left(); got != want {
			t.Fatalf("net/http leaves %d bytes behind %q, we leave %d", got, request, want)
		}
	}
}
