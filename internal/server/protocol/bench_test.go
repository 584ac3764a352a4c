package protocol

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// chatMessage is a typical message: a sentence, with an id.
func chatMessage() []byte {
	return []byte(`{"type":"chat_message","id":"3f1c-17","content":"` + strings.Repeat("a sentence like this ", 6) +
		`","message_type":"text","reply_to":"018f4e2a-01"}`)
}

// read reads the fields that an endpoint reads.
func read(tb testing.TB, p []byte) (content string) {
	m, err := Parse(p)
	if err != nil {
		tb.Fatal(err)
	}
	typ, err := m.Type()
	if err != nil || typ != TypeChatMessage || m.ID() == nil {
		tb.Fatal(typ, err)
	}
	if content, err = m.String("content", 16<<10, true); err != nil {
		tb.Fatal(err)
	}
	if _, err = m.String("message_type", 16, false); err != nil {
		tb.Fatal(err)
	}
	if _, err = m.String("reply_to", 64, false); err != nil {
		tb.Fatal(err)
	}
	return content
}

func BenchmarkParse(b *testing.B) {
	large := bytes.Replace(chatMessage(), []byte("this"), bytes.Repeat([]byte("x"), 16<<10), 1)
	hostile := []byte(`{"a":[` + strings.Repeat("[],", 21_000) + `[]]}`)
	for _, tt := range []struct {
		name string
		p    []byte
	}{{"chat_message", chatMessage()}, {"16KiB", large}, {"brackets", hostile}} {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(tt.p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	p := chatMessage()
	b.ReportAllocs()
	for b.Loop() {
		read(b, p)
	}
}

// BenchmarkReadEncodingJSON is BenchmarkRead with encoding/json, to compare.
func BenchmarkReadEncodingJSON(b *testing.B) {
	p := chatMessage()
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Type        string          `json:"type"`
			ID          json.RawMessage `json:"id"`
			Content     string          `json:"content"`
			MessageType string          `json:"message_type"`
			ReplyTo     string          `json:"reply_to"`
		}
		if err := json.Unmarshal(p, &v); err != nil {
			b.Fatal(err)
		}
	}
}

// write writes the message that goes to a room.
func write(dst []byte, content string, at time.Time) []byte {
	return NewObject(dst, TypeMessage).Open("message").
		String("id", "018f4e2a-02").String("message_type", "text").String("content", content).
		String("sender_id", "u-17").String("sender_name", "Ann").String("room_id", "general").
		Time("timestamp", at).Close().Uint("offset", 123456).End()
}

func BenchmarkWrite(b *testing.B) {
	content, buf, at := read(b, chatMessage()), []byte(nil), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		buf = write(buf[:0], content, at)
	}
}

func BenchmarkAppendString(b *testing.B) {
	for _, tt := range []struct{ name, s string }{
		{"ASCII", strings.Repeat("a sentence like this ", 6)},
		{"Chinese", strings.Repeat("一句话", 14)},
		{"escapes", strings.Repeat(`<b>"&"</b>`, 12)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			var buf []byte
			b.SetBytes(int64(len(tt.s)))
			for b.Loop() {
				buf = AppendString(buf[:0], tt.s)
			}
		})
	}
}

func BenchmarkAppendTime(b *testing.B) {
	var buf []byte
	at := time.Now()
	for b.Loop() {
		buf = AppendTime(buf[:0], at)
	}
}
