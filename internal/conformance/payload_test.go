package conformance

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/owner"
)

// A payload stands for one of the suite's data files: made, not copied, of the
// same kind and size, and it shrinks as the file does (TestPayloads).
type payload struct {
	name    string
	op      frame.Opcode
	shrinks int // every message of this size or more does; 0: one or the other may not
	make    func() source
}

// A source is what messages are cut of: of text by characters, of binary by bytes,
// as the suite has it.
type source struct {
	data   []byte
	starts []int // of the characters, and the end; nil: of the bytes
}

func (s source) len() int {
	if s.starts == nil {
		return len(s.data)
	}
	return len(s.starts) - 1
}

func (s source) from(i, j int) []byte {
	if s.starts == nil {
		return s.data[i:j]
	}
	return s.data[s.starts[i]:s.starts[j]]
}

// cut is the i-th message of n; behind the last comes the first again.
func (s source) cut(i, n int) []byte {
	at, all := i*n%s.len(), s.len()
	if at+n <= all {
		return s.from(at, at+n)
	}
	return append(bytes.Clone(s.from(at, all)), s.from(0, at+n-all)...)
}

// payloads are in the order of the suite, each made when a case first needs it.
var payloads = sync.OnceValue(func() []payload {
	text := func(b []byte) source {
		s := source{data: b}
		for i := range string(b) {
			s.starts = append(s.starts, i)
		}
		s.starts = append(s.starts, len(b))
		return s
	}
	list := []payload{
		{"JSON", frame.OpText, 1 * kib, func() source { return text(jsonReport(194056)) }},
		{"a bitmap", frame.OpBinary, 0, func() source { return source{data: bitmap()} }},
		{"prose", frame.OpBinary, 4 * kib, func() source { return source{data: prose(222218)} }},
		{"HTML", frame.OpText, 1 * kib, func() source { return text(htmlReport(263647)) }},
		{"a PDF", frame.OpBinary, 0, func() source { return source{data: document(1042328)} }},
	}
	for i := range list {
		list[i].make = sync.OnceValue(list[i].make)
	}
	return list
})

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7692)) }

// jsonReport is an index of test results, as the suite's own is.
func jsonReport(n int) []byte {
	r := random(1)
	var b bytes.Buffer
	b.WriteString("{\n")
	for agent := 0; b.Len() < n; agent++ {
		fmt.Fprintf(&b, "   \"Agent/%d.%d.0\": {\n", agent, r.IntN(10))
		for i := range 250 {
			fmt.Fprintf(&b, "      \"%d.%d.%d\": {\n         \"outcome\": \"%s\",\n         \"closing\": \"OK\",\n         \"milliseconds\": %d,\n"+
				"         \"code\": 1000,\n         \"details\": \"agent_%d_case_%d_%d_%d.json\"\n      },\n",
				1+i/25, 1+i/5%5, 1+i%5, []string{"OK", "OK", "OK", "FAILED", "INFORMATIONAL"}[r.IntN(5)], r.IntN(3000), agent, 1+i/25, 1+i/5%5, 1+i%5)
		}
		b.WriteString("   },\n")
	}
	return b.Bytes()[:n]
}

// htmlReport is a page of test results, with a character of more than one byte
// here and there. Its end is plain: no character is cut.
func htmlReport(n int) []byte {
	r := random(2)
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html>\n   <head>\n      <meta charset=\"utf-8\" />\n   </head>\n   <body>\n")
	for i := 0; b.Len() < n; i++ {
		if i%100 == 0 {
			fmt.Fprintf(&b, "   <h2>Part %d · Prüfung №%d – 結果</h2>\n", i/100, i)
		}
		outcome := []string{"ok", "ok", "ok", "failed", "missing"}[r.IntN(5)]
		fmt.Fprintf(&b, "         <tr class=\"result_row\">\n            <td class=\"case\"><a href=\"#case_%d_%d\">Case %d.%d</a></td>\n"+
			"            <td class=\"case_%s\"><a href=\"agent_case_%d_%d.html\">%s</a><br/><span class=\"duration\">%d ms</span></td>\n         </tr>\n",
			i/100, i%100, i/100, i%100, outcome, i/100, i%100, outcome, r.IntN(900))
	}
	return append(bytes.ToValidUTF8(b.Bytes()[:n-60], nil), strings.Repeat("<br/>\n", 20)...)[:n]
}

// prose is verse of made-up words, the frequent ones far more frequent (Zipf).
func prose(n int) []byte {
	r := random(3)
	var words []string
	for range 6000 {
		var w strings.Builder
		for range 1 + r.IntN(3) {
			w.WriteString([]string{"b", "d", "f", "g", "h", "k", "l", "m", "n", "r", "s", "sch", "st", "t", "w", "z", "", ""}[r.IntN(18)])
			w.WriteString([]string{"a", "e", "e", "e", "i", "o", "u", "ei", "au", "ü", "ä", "ie"}[r.IntN(12)])
			w.WriteString([]string{"n", "r", "t", "s", "ch", "l", "", "", "nd"}[r.IntN(9)])
		}
		words = append(words, w.String())
	}
	often := rand.NewZipf(r, 1.1, 3, uint64(len(words)-1))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString("  ")
		for range 5 + r.IntN(4) {
			w := words[often.Uint64()]
			if r.IntN(7) == 0 {
				w = strings.ToUpper(w[:1]) + w[1:]
			}
			b.WriteString(w + []string{" ", " ", " ", ", "}[r.IntN(4)])
		}
		b.WriteString([]string{"\r\n", ";\r\n", ".\r\n", "!\r\n\r\n"}[r.IntN(4)])
	}
	return b.Bytes()[:n]
}

// bitmap is a picture of 512 × 512 grey pixels: header, palette, soft shapes, grain.
func bitmap() []byte {
	const side, header = 512, 14 + 40 + 4*256
	r := random(4)
	b := append([]byte("BM"), make([]byte, header-2)...)
	binary.LittleEndian.PutUint32(b[2:], header+side*side)
	for i := range 256 {
		copy(b[54+4*i:], []byte{byte(i), byte(i), byte(i)})
	}
	for y := range side {
		for x := range side {
			light := 128 + 60*math.Sin(float64(x)/37)*math.Cos(float64(y)/53) + 40*math.Sin(float64(x+2*y)/91)
			b = append(b, byte(light+r.NormFloat64()*16))
		}
	}
	return b
}

// document is streams that are compressed already, between objects of text.
func document(n int) []byte {
	r := random(5)
	b := []byte("%PDF-1.4\n")
	for i := 1; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d 0 obj\n<< /Type /Page /Parent %d 0 R /Resources << /Font << /F%d %d 0 R >> >> /Contents %d 0 R >>\nendobj\n", i, i/9, i%4, i+2, i+1)
		stream := make([]byte, 300+r.IntN(1600))
		for j := range stream {
			stream[j] = byte(r.Uint32())
		}
		b = append(fmt.Appendf(b, "<< /Length %d /Filter /FlateDecode >>\nstream\n", len(stream)), stream...)
		b = append(b, "\nendstream\n"...)
		if i%16 == 0 {
			for j := range 120 {
				b = fmt.Appendf(b, "%010d 00000 n \n", i*1000+j*37)
			}
		}
	}
	return b[:n]
}

// TestPayloads compares what the payloads shrink to, cut into messages, with the
// suite's files: zlib at level 6 made these percentages of them.
func TestPayloads(t *testing.T) {
	if owner.Enabled {
		t.Skip("nothing runs at the same time, and it takes long with the race detector")
	}
	sizes := []int{256, 1 << 10, 4 << 10, 16 << 10, 128 << 10}
	percent := map[string][]int{
		"JSON":     {52, 17, 7, 5, 4},
		"a bitmap": {100, 95, 89, 87, 86},
		"prose":    {73, 57, 48, 43, 39},
		"HTML":     {63, 26, 11, 7, 6},
		"a PDF":    {94, 89, 85, 79, 82},
	}
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	for _, p := range payloads() {
		all := p.make()
		for i, n := range sizes {
			before, after := 0, 0
			for j := range 20 {
				m := all.cut(j*(all.len()/20/n+1), n)
				if again := all.cut(j*(all.len()/20/n+1), n); !bytes.Equal(m, again) {
					t.Fatal("not the same again")
				}
				if p.op == frame.OpText && !bytes.Equal(m, bytes.ToValidUTF8(m, nil)) {
					t.Fatalf("%s: message %d of %d is not text", p.name, j, n)
				}
				b.Reset()
				w.Reset(&b)
				w.Write(m)
				w.Flush()
				before += len(m)
				after += b.Len() - 4
			}
			if got := 100 * after / before; got < percent[p.name][i]-8 || got > percent[p.name][i]+8 {
				t.Errorf("%s in messages of %d: shrinks to %d %%, the suite's to %d %%", p.name, n, got, percent[p.name][i])
			}
		}
	}
}
