//go:build linux

package compression_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// talk is n bytes of text that shrinks: the same for the same seed.
func talk(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `{"type":"message","id":"%08x","content":"what is up in the general room","offset":%d}`, r.Uint32(), r.IntN(1000))
	}
	return b.String()[:n]
}

// noise is n bytes that do not shrink.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// deflater is one direction of permessage-deflate by the standard library. With
// takeover window is what was said.
type deflater struct {
	takeover bool
	window   []byte
}

const flushed = "\x00\x00\xff\xff"

// inflate returns the message that p is the compressed form of.
func (d *deflater) inflate(t testing.TB, p []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(flate.NewReaderDict(io.MultiReader(bytes.NewReader(p), strings.NewReader(flushed+"\x01\x00\x00\xff\xff")), d.window))
	if err != nil {
		t.Fatalf("%d compressed bytes: %v", len(p), err)
	}
	d.said(out)
	return out
}

// deflate is the compressed form of p.
func (d *deflater) deflate(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.DefaultCompression, d.window)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(p)
	w.Flush()
	d.said(p)
	return bytes.TrimSuffix(b.Bytes(), []byte(flushed))
}

func (d *deflater) said(p []byte) {
	if d.takeover {
		d.window = append(d.window, p...)
		d.window = d.window[max(0, len(d.window)-1<<15):]
	}
}

// dialDeflate opens a connection with an offer of extensions, which must be
// answered like this.
func dialDeflate(t testing.TB, srv *perch.Server, offer, want string) *wstest.Conn {
	t.Helper()
	c := wstest.Dial(t, srv.Addr().String(), "/ws", "Sec-WebSocket-Extensions: "+offer)
	if got := (&wstest.Response{Head: c.Head}).Header("Sec-WebSocket-Extensions"); got != want {
		t.Fatalf("offered %q, answered %q, want %q", offer, got, want)
	}
	return c
}

// noTakeover is what a server says by default.
const noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// Our client against our server with every pair of settings: what is agreed is
// used both ways, by the counters, and every message comes back.
func TestDeflateSettings(t *testing.T) {
	for _, server := range deflateSettings() {
		for _, client := range deflateSettings() {
			t.Run(fmt.Sprintf("%v/%v", server, client), func(t *testing.T) {
				srv := enginetest.StartRoute(t, perch.Config{Compression: server, Loops: 1}, enginetest.Echo())
				c := enginetest.NewClient()
				if err := srv.DialWith(context.Background(), enginetest.URL(srv.Addr()), perch.DialOptions{Compression: &client}, c.Handler); err != nil {
					t.Fatal(err)
				}
				ref := wstest.Receive(t, "OnOpen", c.Opened)
				sent, compressed := uint64(0), uint64(0)
				from := func(kept bool) int {
					if kept {
						return 32
					}
					return 1024
				}
				theirs := from(server.ClientTakeover && client.ClientTakeover)
				ours := from(server.ServerTakeover && client.ServerTakeover)
				for i, n := range []int{0, 1, 500, 1024, 3000, 5000, 40000, 1024, 20, 65536} {
					p := talk(uint64(i), n)
					if err := ref.SendText(p); err != nil {
						t.Fatal(err)
					}
					if got := wstest.Receive(t, "the echo", c.Messages); got != p {
						t.Fatalf("message %d of %d bytes comes back as %d", i, n, len(got))
					}
					sent++
					for _, from := range []int{theirs, ours} {
						if n >= from && !server.Disabled && !client.Disabled {
							compressed++
						}
					}
				}
				enginetest.AwaitStats(t, srv, "all is counted", func(s *perch.Stats) bool { return s.MessagesReceived == 2*sent })
				if s := srv.Stats(); s.CompressedSent != compressed || s.CompressedReceived != compressed || s.Compressions != compressed {
					t.Errorf("%d messages sent compressed, %d received, %d compressions, want %d", s.CompressedSent, s.CompressedReceived, s.Compressions, compressed)
				}
			})
		}
	}
}

func deflateSettings() []perch.Compression {
	return []perch.Compression{
		{},
		{Disabled: true},
		{ServerTakeover: true},
		{ClientTakeover: true},
		{ServerTakeover: true, ClientTakeover: true},
		{ServerTakeover: true, ClientTakeover: true, ServerWindow: 9, ClientWindow: 10},
		{ServerWindow: 11, ClientWindow: 9},
		{ServerTakeover: true, ClientTakeover: true, ServerWindow: 15, ClientWindow: 15},
	}
}

// The standard library at the other end: what the server sends by each offer is
// what it has agreed to.
func TestDeflateOffers(t *testing.T) {
	both := perch.Compression{ServerTakeover: true, ClientTakeover: true}
	for _, tt := range []struct {
		name          string
		cfg           perch.Compression
		offer, answer string
		out, in       bool // contexts live on: the server's, the client's
		compressed    bool
	}{
		{"default", perch.Compression{}, "permessage-deflate; client_max_window_bits", noTakeover, false, false, true},
		{"takeover", both, "permessage-deflate; client_max_window_bits", "permessage-deflate", true, true, true},
		{"server takeover", both, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover", true, false, true},
		{"client takeover", both, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover", false, true, true},
		{"small window", perch.Compression{}, "permessage-deflate; server_max_window_bits=9", noTakeover + "; server_max_window_bits=9", false, false, true},
		{"smallest window", both, "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8", true, true, true},
		{"second offer", perch.Compression{}, "permessage-deflate; server_max_window_bits=7, permessage-deflate", noTakeover, false, false, true},
		{"unknown", perch.Compression{}, "x-webkit-deflate-frame", "", false, false, false},
		{"disabled", perch.Compression{Disabled: true}, "permessage-deflate", "", false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := enginetest.StartRoute(t, perch.Config{Compression: tt.cfg}, enginetest.Echo())
			c := dialDeflate(t, srv, tt.offer, tt.answer)
			out, in := deflater{takeover: tt.out}, deflater{takeover: tt.in}
			for i := range 20 {
				p := []byte(talk(uint64(i), 1000+200*i))
				f := wstest.Frame{Op: perch.Text, Payload: p}
				if tt.compressed {
					f.Payload, f.Rsv = in.deflate(t, p), frame.RSV1
				}
				c.Send(f)
				got, err := c.Next()
				if err != nil || got.Op != perch.Text || got.More {
					t.Fatalf("message %d: %v, %v", i, got, err)
				}
				if want := tt.compressed && (tt.out || len(p) >= 1024); (got.Rsv == frame.RSV1) != want {
					t.Fatalf("message %d of %d bytes: %v, want it compressed %v", i, len(p), got, want)
				}
				if got.Rsv != 0 {
					got.Payload = out.inflate(t, got.Payload)
				}
				if !bytes.Equal(got.Payload, p) {
					t.Fatalf("message %d comes back with %d bytes, want %d", i, len(got.Payload), len(p))
				}
			}
		})
	}
}

// A compressed message of no bytes, and one with the four bytes at its end that a
// sender should leave off, are what they can only be; also in pieces, and with
// contexts that live on.
func TestDeflateLenient(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		srv := enginetest.StartRoute(t, perch.Config{Compression: perch.Compression{ClientTakeover: takeover}}, enginetest.Echo())
		want := noTakeover
		if takeover {
			want = "permessage-deflate; server_no_context_takeover"
		}
		c := dialDeflate(t, srv, offer, want)
		in := deflater{takeover: takeover}
		for i, p := range []string{talk(1, 900), "", talk(1, 901), talk(2, 40), "", talk(1, 902)} {
			var b []byte
			if p != "" {
				b = append(in.deflate(t, []byte(p)), flushed...)
			}
			whole := compressed(perch.Text, b)
			c.Send(whole)
			c.ExpectText(p)
			if p == "" {
				first, last := whole, wstest.Frame{Op: frame.OpContinuation}
				first.More = true
				c.Send(first, last)
				c.ExpectText("")
				continue
			}
			if !takeover { // else the context would not know the message
				for cut := range 5 {
					first, last := whole, wstest.Frame{Op: frame.OpContinuation, Payload: b[len(b)-cut:]}
					first.Payload, first.More = b[:len(b)-cut], true
					c.Chop(i+1, first, last)
					c.ExpectText(p)
				}
			}
		}
		c.CloseHandshake(perch.CloseNormal)
	}
}
