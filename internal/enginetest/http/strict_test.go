//go:build linux

package http_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// strictly is one request, with its body, and the status that it gets.
type strictly struct {
	name, request string
	status        int
}

// strict are requests that two readers may take differently, and others beside them.
func strict() []strictly {
	const get, post = "GET /page HTTP/1.1\r\n", "POST /page HTTP/1.1\r\nHost: a\r\n"
	const host, end = "Host: a\r\n", "\r\n"
	const chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	upgrade := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(string(wstest.Request("a", "/ws")))
	}
	return []strictly{
		{"a page", get + host + end, 200},
		{"plain HTTP on a WebSocket path", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426},
		{"POST on a WebSocket path", "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 426},
		{"no such page", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		{"another method", "BREW /page HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"HTTP/1.2", "GET /page HTTP/1.2\r\nHost: a\r\n\r\n", 200},
		{"absolute-form", "GET http://b/page HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"an empty line in front", "\r\n" + get + host + end, 200},
		{"space around values", get + "Host: \t a \t\r\nX:y\r\nZ:\r\n" + end, 200},
		{"other than ASCII in a value", get + host + "X: \xe4\xf6\r\n" + end, 200},
		{"64 lines", get + host + strings.Repeat("X: y\r\n", 63) + end, 200},
		{"Expect", post + "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", 200},
		{"Expect something else", post + "Content-Length: 0\r\nExpect: more\r\n\r\n", 417},

		{"two empty lines in front", "\r\n\r\n" + get + host + end, 400},
		{"LF in front", "\n" + get + host + end, 400},
		{"CR in front", "\r" + get + host + end, 400},
		{"space in front", " " + get + host + end, 400},
		{"lines ended by LF", "GET /page HTTP/1.1\nHost: a\n\n", 400},
		{"the request line ended by LF", "GET /page HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"one line ended by LF", get + "Host: a\nX: y\r\n\r\n", 400},
		{"the head ended by LF", get + host + "\n", 400},
		{"a line ended by CR", get + "Host: a\rX: y\r\n\r\n", 400},
		{"CR CR LF", get + "Host: a\r\r\n\r\n", 400},
		{"a folded line", get + host + "X: y\r\n z\r\n" + end, 400},
		{"a folded line with a tab", get + host + "X: y\r\n\tz\r\n" + end, 400},
		{"the first line folded", get + " " + host + end, 400},
		{"space before a colon", get + host + "X : y\r\n" + end, 400},
		{"tab before a colon", get + host + "X\t: y\r\n" + end, 400},
		{"an empty name", get + host + ": y\r\n" + end, 400},
		{"a name in brackets", get + host + "X(y): z\r\n" + end, 400},
		{"a name not of ASCII", get + host + "\xc3\xa4: z\r\n" + end, 400},
		{"a line without a colon", get + host + "X\r\n" + end, 400},
		{"NUL in a value", get + host + "X: y\x00z\r\n" + end, 400},
		{"VT in a value", get + host + "X: y\x0bz\r\n" + end, 400},
		{"DEL in a value", get + host + "X: y\x7fz\r\n" + end, 400},
		{"CR in a value", get + host + "X: y\rz\r\n" + end, 400},
		{"65 lines", get + host + strings.Repeat("X: y\r\n", 64) + end, 431},
		{"200 lines", get + host + strings.Repeat("X: y\r\n", 200) + end, 431},
		{"a large head", get + host + "X: " + strings.Repeat("y", 8<<10) + "\r\n" + end, 431},
		{"a very large head", get + host + "X: " + strings.Repeat("y", 100<<10) + "\r\n" + end, 431},
		{"a large target", "GET /" + strings.Repeat("y", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},

		{"no Host", get + "X: y\r\n" + end, 400},
		{"two Hosts", get + host + host + end, 400},
		{"two Hosts, the second empty", get + host + "Host:\r\n" + end, 400},
		{"a Host with a path", get + "Host: a/b\r\n" + end, 400},
		{"a Host with a user", get + "Host: u@a\r\n" + end, 400},
		{"a Host with space", get + "Host: a b\r\n" + end, 400},
		{"a list of Hosts", get + "Host: a:80, b:81\r\n" + end, 400},
		{"a port that is none", get + "Host: a:x\r\n" + end, 400},
		{"a name in brackets for a Host", get + "Host: [a]\r\n" + end, 400},
		{"no method", " /page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a method in quotes", "\"GET\" /page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
		{"CONNECT to a path", "CONNECT /page HTTP/1.1\r\nHost: a\r\n\r\n", 501},
		{"two spaces", "GET  /page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a tab", "GET\t/page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"space behind the version", "GET /page HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
		{"a relative target", "GET page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a fragment", "GET /page#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"half an escape", "GET /page%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a target not of ASCII", "GET /p\xc3\xa4ge HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a control character in a target", "GET /page\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"an authority with a user", "GET http://u@a/page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"another scheme", "GET ftp://a/page HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"HTTP/0.9", "GET /page\r\n\r\n", 400},
		{"HTTP/2.0", "GET /page HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/1.10", "GET /page HTTP/1.10\r\nHost: a\r\n\r\n", 400},
		{"http/1.1", "GET /page http/1.1\r\nHost: a\r\n\r\n", 400},
		{"TLS within", "\x16\x03\x01\x02\x00\x01\x00\x01", 400},

		{"a body", post + "Content-Length: 5\r\n\r\nhello", 200},
		{"a body of nothing", post + "Content-Length: 0\r\n\r\n", 200},
		{"zeros in front of a length", post + "Content-Length: 0005\r\n\r\nhello", 200},
		{"a body of GET", get + host + "Content-Length: 5\r\n\r\nhello", 200},
		{"an empty length", post + "Content-Length:\r\n\r\n", 400},
		{"a signed length", post + "Content-Length: +5\r\n\r\nhello", 400},
		{"a length below 0", post + "Content-Length: -1\r\n\r\n", 400},
		{"a hexadecimal length", post + "Content-Length: 0x5\r\n\r\nhello", 400},
		{"a length with a fraction", post + "Content-Length: 5.0\r\n\r\nhello", 400},
		{"a length of 20 digits", post + "Content-Length: 99999999999999999999\r\n\r\nhello", 400},
		{"a list of lengths", post + "Content-Length: 5, 5\r\n\r\nhello", 400},
		{"two equal lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
		{"two lengths", post + "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", 400},
		{"chunks", chunked + "5\r\nhello\r\n0\r\n\r\n", 200},
		{"CHUNKED", post + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", 200},
		{"chunks with extensions", chunked + "5;x=\"y\"\r\nhello\r\n0;z\r\n\r\n", 200},
		{"trailer fields", chunked + "5\r\nhello\r\n0\r\nX: y\r\n\r\n", 200},
		{"a length and chunks", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks and a length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"a length and chunks on a WebSocket path", "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a length and chunks for an upgrade", upgrade("GET ", "POST ", "Host: a", "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n", 400},
		{"identity", post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 400},
		{"identity alone", post + "Transfer-Encoding: identity\r\n\r\n", 501},
		{"gzip", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		{"chunked in a list", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
		{"an empty coding", post + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 501},
		{"chunks of HTTP/1.0", "POST /page HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},

		// The handler has these, and tells of the error that it reads.
		{"a size ended by LF", chunked + "5\nhello\r\n0\r\n\r\n", 422},
		{"an extension ended by LF", chunked + "5;x\nhello\r\n0\r\n\r\n", 422},
		{"space behind a size", chunked + "5 \r\nhello\r\n0\r\n\r\n", 422},
		{"a sign in front of a size", chunked + "+5\r\nhello\r\n0\r\n\r\n", 422},
		{"a chunk that is too long", chunked + "5\r\nhello!\r\n0\r\n\r\n", 422},
		{"a chunk ended by LF", chunked + "5\r\nhello\n0\r\n\r\n", 422},
		{"trailer fields ended by LF", chunked + "0\r\nX: y\n\r\n", 422},
		{"a folded trailer field", chunked + "0\r\nX: y\r\n z\r\n\r\n", 422},
		{"a trailer field with space in its name", chunked + "0\r\nX : y\r\n\r\n", 422},
		{"chunks ended by LF", chunked + "0\r\n\n", 422},

		{"an upgrade", upgrade(), 101},
		{"an upgrade with an empty Host", upgrade("Host: a", "Host:"), 400},
		{"an upgrade with a body", upgrade("Host: a", "Host: a\r\nContent-Length: 5") + "hello", 400},
		{"an upgrade with chunks", upgrade("Host: a", "Host: a\r\nTransfer-Encoding: chunked") + "0\r\n\r\n", 400},
		{"an upgrade by POST", upgrade("GET ", "POST "), 405},
		{"an upgrade of another version", upgrade("Version: 13", "Version: 8"), 426},
		{"an upgrade with a bad key", upgrade("Key: ", "Key: x"), 400},
		{"an upgrade with two keys", upgrade("Host: a", "Host: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"an upgrade with space before a colon", upgrade("Upgrade:", "Upgrade :"), 400},
		{"an upgrade from a foreign page", upgrade("Host: a", "Host: a\r\nOrigin: http://b"), 403},
		{"an upgrade for no route", upgrade("/ws", "/none"), 404},
	}
}

// TestStrict: each request gets one verdict, be it the first one of its connection, which a loop reads, or a later one,
// which net/http reads; in one piece or not; with TLS or without. A malformed one is the last of its connection.
func TestStrict(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	for _, secure := range []bool{false, true} {
		cfg, client := perch.Config{HTTP: mux}, (*tls.Config)(nil)
		if secure {
			cfg, client = enginetest.Secured(t, cfg)
		}
		srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
		for _, tt := range strict() {
			t.Run(fmt.Sprintf("%s/TLS %v", tt.name, secure), func(t *testing.T) {
				for _, place := range places {
					c := wstest.Connect(t, srv.Addr().String())
					if secure {
						c.Secure(client)
					}
					if got := verdict(c, tt.request, place); got != tt.status {
						t.Errorf("%s: %d, want %d", place, got, tt.status)
					}
					c.Close()
				}
			})
		}
		enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	}
}

// places are how a request may come.
var places = []string{"first", "second", "pipelined", "cut"}

// verdict is the status that a request gets in a place. −1: the connection goes on behind a malformed request, or does
// not behind a good one; 0: there is no answer.
func verdict(c *wstest.Conn, request, place string) int {
	const page = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	get := func() bool {
		r, err := c.TryReadResponse()
		return err == nil && r.Status == 200
	}
	switch place {
	case "first":
		c.TryWrite([]byte(request))
	case "pipelined":
		if c.TryWrite([]byte(page + request)); !get() {
			return 0
		}
	default:
		if c.TryWrite([]byte(page)); !get() {
			return 0
		}
		pieces := 1
		if place == "cut" {
			pieces = 7
		}
		c.TryChopBytes(len(request)/pieces+1, []byte(request))
	}
	r, err := c.TryReadResponse()
	if err != nil {
		return 0
	}
	if goes, known := goesOn(r.Status, request); known {
		c.TryWrite([]byte(page))
		if get() != goes {
			return -1
		}
	}
	return r.Status
}

// goesOn says whether a connection has to be of use behind a response. It is not known where a loop ends it, but
// net/http does not.
func goesOn(status int, request string) (goes, known bool) {
	switch status {
	case 200:
		return true, true
	case 422, 431, 501, 505:
		return false, true
	case 400:
		return false, !strings.Contains(request, "Sec-WebSocket-Key")
	}
	return false, false
}

// TestStrictBehindWork: a malformed request behind one that is being answered is refused in its turn, and does not
// disturb the other one.
func TestStrictBehindWork(t *testing.T) {
	cancelled, release := make(chan error, 1), make(chan struct{})
	srv := enginetest.Start(t, perch.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		cancelled <- r.Context().Err()
	})}, nil)
	c := wstest.Connect(t, srv.Addr().String())
	c.Write([]byte("GET /page HTTP/1.1\r\nHost: a\r\n\r\n(ET /page HTTP/1.1\r\nHost: a\r\n\r\n"))
	c.ExpectSilence(50 * time.Millisecond)
	c.TCP().SetReadDeadline(time.Time{})
	close(release)
	if err := wstest.Receive(t, "the handler's end", cancelled); err != nil {
		t.Errorf("it was disturbed: %v", err)
	}
	for _, want := range []int{200, 400} {
		if r := c.ReadResponse(); r.Status != want {
			t.Errorf("status %d, want %d", r.Status, want)
		}
	}
	c.ExpectEOF()
	if s := srv.Stats(); s.BadHandshakes != 1 || s.Refusals[perch.RefusedRequest] != 1 {
		t.Errorf("%d bad handshakes, %d refusals", s.BadHandshakes, s.Refusals[perch.RefusedRequest])
	}
}
