package auth

import (
	"strings"
	"testing"
)

func BenchmarkVerify(b *testing.B) {
	v := verifier(b, nil)
	for _, alg := range algorithms() {
		token := signers()[alg].mint(nil, object{"rooms": []string{"general", "random"}})
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("unknown", func(b *testing.B) { // the cost of a stranger's token
		token := signers()["RS256"].mint(object{"kid": "stranger"}, nil)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = v.Verify(token)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	token := signers()["HS256"].mint(nil, nil)
	for name, s := range map[string]string{
		"nothing": "connection closed by the peer with code 1000 after 12 messages",
		"URL":     "GET /ws?raw=1&token=" + token + " HTTP/1.1",
		"long":    strings.Repeat(`{"type":"message","room":"general"}`, 100),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				Redact(s)
			}
		})
	}
}
