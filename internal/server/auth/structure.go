package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A secret for HS256 is bytes that nobody else knows. Everybody knows a public key, so in a form that we do not
// recognise it would verify any token that anybody signs with it. So a secret must have no structure: a key, or a
// document that may hold one, is refused, also if it is encoded, cut, or has something before or behind it.

const (
	// maxLayers is how many encodings may be nested: base64 of hex of a PEM file is three.
	maxLayers = 3
	// minEncoded is the shortest run of characters that may be an encoding of something.
	minEncoded = 24
)

// structured says what b is, if it is more than random bytes; else "". One random secret in ten thousand looks like
// something by chance; of 33 bytes, the length of a point of P-256, one in 250.
func structured(b []byte) string { return describe(b, maxLayers) }

func describe(b []byte, layers int) string {
	if what := binaryKey(b); what != "" {
		return what
	}
	text, encoding := textOf(b)
	switch {
	case encoding != "":
		return encoding
	case text != "":
		return describeText(text, layers)
	case layers > 0: // text with bytes before or behind it
		return encoded(string(b), layers-1)
	}
	return ""
}

// textOf returns b as text, if it is text, and the name of its encoding if that is one that no secret needs.
func textOf(b []byte) (text, encoding string) {
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		return string(b[3:]), "text with a byte order mark"
	}
	for _, little := range []bool{true, false} {
		if t := utf16Text(b, little); mostlyASCII(t) {
			return t, "UTF-16 text"
		}
	}
	if !isText(b) {
		return "", ""
	}
	return string(b), ""
}

// mostlyASCII reports whether s is long enough for a secret, and three quarters of it are ASCII.
func mostlyASCII(s string) bool {
	n, seen := 0, 0
	for _, r := range s {
		n++
		if r >= ' ' && r < unicode.MaxASCII {
			seen++
		}
	}
	return n >= MinSecret/2 && seen*4 >= n*3
}

func utf16Text(b []byte, little bool) string {
	var order binary.ByteOrder = binary.BigEndian
	if little {
		order = binary.LittleEndian
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// isText reports whether b is UTF-8 of visible characters.
func isText(b []byte) bool { return utf8.Valid(b) && printableText(string(b)) }

func printableText(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// describeText is describe for text.
func describeText(text string, layers int) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "blank"
	case strings.HasPrefix(text, "ssh-"):
		return "an SSH public key"
	case strings.HasPrefix(text, "-----"):
		return "a PEM file"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["), strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`):
		return "JSON"
	case strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">"):
		return "XML"
	case strings.HasPrefix(text, "Modulus="):
		return "the modulus of an RSA key"
	}
	if layers > 0 {
		if what := encoded(text, layers-1); what != "" {
			return what
		}
	}
	if strings.ContainsAny(text, "\r\n") && !onlyBase64(text) {
		return "text of several lines"
	}
	return ""
}

// encoded decodes every run of text that may be base64, base64url or hex, and describes the result. It skips line
// ends, the punctuation of dumps, and any number of other characters in front.
func encoded(text string, layers int) string {
	try := func(decoded []byte, encoding string) string {
		what := describe(decoded, layers)
		switch what {
		case "", "blank", "text of several lines":
			return ""
		case "JSON":
			if encoding == "base64" && strings.Count(text, ".") >= 2 {
				return "a token"
			}
		}
		return encoding + " of " + what
	}
	joined := joinLines.Replace(text)
	for _, t := range []string{text, joined} {
		for run := range strings.FieldsFuncSeq(t, notBase64) {
			run = toStdBase64.Replace(run)
			for skip := 0; skip < 4 && len(run)-skip >= minEncoded; skip++ {
				whole := run[skip:]
				whole = whole[:len(whole)-len(whole)%4+map[int]int{2: 2, 3: 3}[len(whole)%4]]
				decoded, err := base64.RawStdEncoding.DecodeString(whole)
				if err != nil {
					continue
				}
				if what := try(decoded, "base64"); what != "" {
					return what
				}
			}
		}
	}
	for _, t := range []string{text, joined, joinDump.Replace(joined)} {
		for run := range strings.FieldsFuncSeq(t, notHex) {
			for skip := 0; skip < 2 && len(run)-skip >= minEncoded; skip++ {
				whole := run[skip:]
				decoded, err := hex.DecodeString(whole[:len(whole)&^1])
				if err != nil {
					continue
				}
				if what := try(decoded, "hex"); what != "" {
					return what
				}
			}
		}
	}
	return ""
}

var (
	joinLines   = strings.NewReplacer("\r", "", "\n", "", `\r`, "", `\n`, "", " ", "", "\t", "")
	joinDump    = strings.NewReplacer("0x", "", "0X", "", `\x`, "", ":", "", ",", "")
	toStdBase64 = strings.NewReplacer("-", "+", "_", "/")
)

func notBase64(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_", r))
}

func notHex(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F')
}

// onlyBase64 reports whether text is base64 in lines, as openssl rand -base64 64 prints it.
func onlyBase64(text string) bool {
	return strings.IndexFunc(strings.TrimRight(joinLines.Replace(text), "="), notBase64) < 0
}

// Marks that keys have somewhere, and random bytes nearly never.
var marks = []struct{ bytes, what string }{
	{"-----BEGIN ", "a PEM file"},
	{`"kty"`, "JSON"},             // a JWK, RFC 7517 §4
	{"---- BEGIN ", "a PEM file"}, // RFC 4716
	{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01", "an RSA key in DER form"}, // 1.2.840.113549.1.1
	{"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", "an EC key in DER form"},      // 1.2.840.10045.2.1
	{"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", "a DSA key in DER form"},      // 1.2.840.10040.4.1
	{"\x06\x03\x2b\x65\x70", "an Ed25519 key in DER form"},                 // 1.3.101.112
	{"\x06\x03\x2b\x65\x71", "an Ed448 key in DER form"},                   // 1.3.101.113
	{"\x00\x00\x00\x07ssh-rsa", "an SSH public key"},                       // RFC 4253 §6.6
	{"\x00\x00\x00\x07ssh-dss", "an SSH public key"},
	{"\x00\x00\x00\x0bssh-ed25519", "an SSH public key"},
	{"\x00\x00\x00\x13ecdsa-sha2-nistp", "an SSH public key"},
	{"sk-ssh-ed25519@openssh.com", "an SSH public key"},
	{"sk-ecdsa-sha2-nistp256@openssh.com", "an SSH public key"},
	{"PuTTY-User-Key-File", "a PuTTY key"},
	{"openssh-key-v1\x00", "an SSH private key"},
	{"\xfe\xed\xfe\xed\x00\x00\x00", "a Java key store"},
}

// binaryKey says which kind of key, or container of keys, b is in binary form.
func binaryKey(b []byte) string {
	for _, m := range marks {
		if bytes.Contains(b, []byte(m.bytes)) {
			return m.what
		}
	}
	// An RSA key in PKCS #1 form, as openssl writes it, has no name in it, but numbers of its size.
	if len(b) > 9 && b[0] == 0x30 && b[1] == 0x82 && b[4] == 0x02 && (b[5] == 0x82 || b[5] == 0x81 || b[5] == 0x01) {
		return "an RSA key in DER form"
	}
	if isText(b) {
		return ""
	}
	if _, _, ok := sequence(bytes.TrimLeft(b, " \t\r\n")); ok {
		return "a structure in DER form"
	}
	switch {
	case len(b) == 65 && b[0] == 4:
		if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b); err == nil {
			return "a bare point of P-256"
		}
	case len(b) == 33 && (b[0] == 2 || b[0] == 3):
		if x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), b); x != nil {
			return "a bare point of P-256"
		}
	case pgpPacket(b):
		return "a PGP key"
	}
	return ""
}

// sequence returns the SEQUENCE in DER with which b begins, whole and of whole elements, and the bytes behind it.
func sequence(b []byte) (der, rest []byte, ok bool) {
	var s asn1.RawValue
	rest, err := asn1.Unmarshal(b, &s)
	if err != nil || s.Class != asn1.ClassUniversal || s.Tag != asn1.TagSequence || !s.IsCompound || len(s.Bytes) == 0 {
		return nil, nil, false
	}
	for elements := s.Bytes; len(elements) > 0; {
		var element asn1.RawValue
		if elements, err = asn1.Unmarshal(elements, &element); err != nil {
			return nil, nil, false
		}
	}
	return s.FullBytes, rest, true
}

// pgpPacket reports whether b begins with a public or secret key of OpenPGP (RFC 9580 §4.2, §5.5.2).
func pgpPacket(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	body, length := 2, int(b[1])
	switch b[0] { // tags 6, public, and 5, secret
	case 0x98, 0x94: // a length of one byte
	case 0xc6, 0xc5: // of one or two
		if length >= 192 {
			body, length = 3, (length-192)<<8+int(b[2])+192
		}
	case 0x99, 0x95: // of two
		body, length = 3, length<<8+int(b[2])
	default:
		return false
	}
	if next := body + length; next < len(b) && b[next]&0x80 == 0 { // no packet follows
		return false
	}
	version, algorithm := b[body], b[body+5]
	return (version == 4 || version == 6) && (algorithm <= 3 && algorithm > 0 || algorithm >= 16 && algorithm <= 28)
}
