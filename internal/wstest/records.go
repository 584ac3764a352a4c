package wstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
)

// Records seals TLS 1.3 records as crypto/tls would not: KeyUpdate at will, and
// whatever else a peer may think of (RFC 8446 §5).
type Records struct {
	t      testing.TB
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// The content types of RFC 8446 §5.1.
const (
	RecordAlert       = 21
	RecordHandshake   = 22
	RecordApplication = 23
)

// SecureRecords is Secure with TLS 1.3 for a Conn that only reads from then on:
// what the test sends is sealed by the Records it returns, and written to TCP.
func (c *Conn) SecureRecords(config *tls.Config) *Records {
	c.t.Helper()
	var keys bytes.Buffer
	config = config.Clone()
	config.KeyLogWriter, config.MinVersion = &keys, tls.VersionTLS13
	c.Secure(config)
	if suite := c.TLS().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		c.t.Skipf("wstest: no AES in hardware: %s", tls.CipherSuiteName(suite))
	}
	r := &Records{t: c.t}
	for line := range bytes.Lines(keys.Bytes()) {
		var label, random, secret string
		if fmt.Sscan(string(line), &label, &random, &secret); label == "CLIENT_TRAFFIC_SECRET_0" {
			s, err := hex.DecodeString(secret)
			c.must("key log", err)
			r.use(s)
		}
	}
	return r
}

// use changes keys to those of a traffic secret.
func (r *Records) use(secret []byte) {
	block, err := aes.NewCipher(r.expand(secret, "key", 16))
	if err == nil {
		r.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		r.t.Fatalf("wstest: %v", err)
	}
	r.secret, r.iv, r.seq = secret, r.expand(secret, "iv", 12), 0
}

// expand is HKDF-Expand-Label (RFC 8446 §7.1).
func (r *Records) expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(size >> 8), byte(size), byte(len(label))}, label...)
	b, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
	if err != nil {
		r.t.Fatalf("wstest: %v", err)
	}
	return b
}

// Seal is one record.
func (r *Records) Seal(kind byte, p []byte) []byte {
	nonce := bytes.Clone(r.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, r.seq) {
		nonce[4+i] ^= b
	}
	r.seq++
	size := len(p) + 1 + r.aead.Overhead()
	header := []byte{RecordApplication, 3, 3, byte(size >> 8), byte(size)}
	return append(header, r.aead.Seal(nil, nonce, append(bytes.Clone(p), kind), header)...)
}

// KeyUpdate is the record that changes our keys, and asks the peer for new ones of
// its own if answer is true (RFC 8446 §4.6.3).
func (r *Records) KeyUpdate(answer bool) []byte {
	message := []byte{24, 0, 0, 1, 0}
	if answer {
		message[4] = 1
	}
	b := r.Seal(RecordHandshake, message)
	r.use(r.expand(r.secret, "traffic upd", sha256.Size))
	return b
}
