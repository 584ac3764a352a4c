package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// publicForms returns forms in which a file may have the public half of s, all of which everybody may know. Those
// with true must be read.
var publicForms = sync.OnceValue(func() map[string]map[string]form {
	all := make(map[string]map[string]form)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		all[alg] = formsOf(signers()[alg])
	}
	return all
})

type form struct {
	file []byte
	read bool // LoadKey reads it as the key
}

func formsOf(s signer) map[string]form {
	der, err := x509.MarshalPKIXPublicKey(s.public)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, s.public, s.pair)
	if err != nil {
		panic(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	jwk, _ := json.Marshal(jwkOf(s))
	indented, _ := json.MarshalIndent(jwkOf(s), "", "  ")
	public := publicPEM(s.public)
	ssh := sshWire(s.public)
	f := map[string]form{
		"PEM":                         {public, true},
		"DER":                         {der, true},
		"certificate in PEM":          {block("CERTIFICATE", cert), true},
		"certificate in DER":          {cert, true},
		"certificate and chain":       {append(block("CERTIFICATE", cert), block("CERTIFICATE", cert)...), true},
		"JWK":                         {jwk, true},
		"JWK, indented":               {indented, true},
		"JWK with line ends":          {append([]byte("\r\n"), append(jwk, '\n')...), true},
		"JWK set":                     {keySet(jwkOf(s)), false},
		"list of JWKs":                {[]byte("[" + string(jwk) + "]"), false},
		"JWK in a string":             {[]byte(`"` + strings.ReplaceAll(string(jwk), `"`, `\"`) + `"`), false},
		"JWK and a comment":           {append([]byte("// our key\n"), jwk...), false},
		"cut JWK":                     {jwk[:len(jwk)-2], false},
		"SSH":                         {[]byte(sshName(s.public) + " " + base64.StdEncoding.EncodeToString(ssh) + " ann@example\n"), false},
		"SSH, the key alone":          {[]byte(base64.StdEncoding.EncodeToString(ssh)), false},
		"SSH in binary":               {ssh, false},
		"authorized_keys":             {[]byte(`command="true" ` + sshName(s.public) + " " + base64.StdEncoding.EncodeToString(ssh)), false},
		"RFC 4716":                    {[]byte("---- BEGIN SSH2 PUBLIC KEY ----\n" + wrap(ssh, 70) + "---- END SSH2 PUBLIC KEY ----\n"), false},
		"PGP in ASCII":                {block("PGP PUBLIC KEY BLOCK", der), false},
		"PGP":                         {slices.Concat([]byte{0x99, 1, 6, 4, 1, 2, 3, 4, 1}, bytes.Repeat([]byte{0xa5}, 256), []byte{0xb4, 1, 'x'}), false},
		"Java":                        {slices.Concat([]byte("\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01"), cert), false},
		"PKCS #12":                    {slices.Concat([]byte{0x30, 0x0b, 2, 1, 3, 0x30, 6, 4, 4}, []byte("data")), false},
		"PEM with CRLF":               {bytes.ReplaceAll(public, []byte("\n"), []byte("\r\n")), true},
		"PEM behind a BOM":            {append([]byte("\xef\xbb\xbf"), public...), true},
		"PEM behind comments":         {append([]byte("# from our issuer\nsubject=/CN=x\n\n"), public...), true},
		"PEM behind Latin-1":          {append([]byte("Schl\xfcssel\n"), public...), true},
		"PEM before text":             {append(slices.Clone(public), "\nthat was it\n"...), true},
		"PEM behind spaces":           {append([]byte("  \n\n "), public...), false},
		"PEM of another name":         {block("SOME KEY", der), false},
		"PEM in one line":             {bytes.ReplaceAll(public, []byte("\n"), []byte(" ")), false},
		"PEM with escaped line ends":  {bytes.ReplaceAll(public, []byte("\n"), []byte(`\n`)), false},
		"PEM without its first line":  {public[bytes.IndexByte(public, '\n')+1:], false},
		"PEM without its lines":       {[]byte(wrap(der, 64)), true},
		"cut PEM":                     {public[:len(public)-30], false},
		"PEM as UTF-16":               {utf16File(string(public), true, true), false},
		"PEM as UTF-16, big endian":   {utf16File(string(public), false, true), false},
		"PEM as UTF-16 without a BOM": {utf16File(string(public), true, false), false},
		"JWK as UTF-16":               {utf16File(string(jwk), true, true), false},
		"XML":                         {[]byte("<RSAKeyValue><Modulus>" + b64(der[8:]) + "</Modulus></RSAKeyValue>"), false},
		"YAML":                        {[]byte("kty: RSA\nn: " + b64(der[24:]) + "\n"), false},
		"DER before a line end":       {append(slices.Clone(der), '\n'), true},
		"DER behind a line end":       {append([]byte("\n"), der...), true},
		"DER behind bytes":            {append([]byte{1, 2, 3}, der...), false},
		"DER before bytes":            {append(slices.Clone(der), 1, 2, 3), false},
		"cut DER":                     {der[:max(len(der)-5, MinSecret)], false},
		"base64 of DER":               {[]byte(base64.StdEncoding.EncodeToString(der)), true},
		"base64url of DER":            {[]byte(b64(der) + "\n"), true},
		"base64 of DER, in quotes":    {[]byte(`"` + base64.StdEncoding.EncodeToString(der) + `"`), false},
		"base64 of DER, named":        {[]byte("public_key=" + base64.StdEncoding.EncodeToString(der)), false},
		"base64 of DER, run on":       {[]byte("x" + base64.StdEncoding.EncodeToString(der) + "yz"), false},
		"base64 of PEM":               {[]byte(base64.StdEncoding.EncodeToString(public)), false},
		"base64 of PEM in lines":      {[]byte(wrap(public, 76)), false},
		"base64 of JWK":               {[]byte(b64(jwk)), false},
		"base64 of base64":            {[]byte(b64([]byte(b64(der)))), false},
		"hex of DER":                  {[]byte(hex.EncodeToString(der)), false},
		"hex of DER, upper case":      {[]byte(strings.ToUpper(hex.EncodeToString(der))), false},
		"hex of DER with colons":      {[]byte(strings.TrimRight(dump(der, "%02x:"), ":")), false},
		"hex of DER with spaces":      {[]byte(dump(der, "%02X ")), false},
		"hex of DER as C":             {[]byte("{" + dump(der, "0x%02x, ") + "}"), false},
		"hex of DER, escaped":         {[]byte(dump(der, `\x%02x`)), false},
		"hex of PEM":                  {[]byte(hex.EncodeToString(public)), false},
		"hex of base64":               {[]byte(hex.EncodeToString([]byte(b64(der)))), false},
	}
	if public, ok := s.public.(*rsa.PublicKey); ok {
		pkcs1 := x509.MarshalPKCS1PublicKey(public)
		maps.Copy(f, map[string]form{
			"PKCS #1 in PEM":         {block("RSA PUBLIC KEY", pkcs1), true},
			"PKCS #1 in DER":         {pkcs1, true},
			"base64 of PKCS #1":      {[]byte(base64.StdEncoding.EncodeToString(pkcs1)), true},
			"hex of PKCS #1":         {[]byte(hex.EncodeToString(pkcs1)), false},
			"cut PKCS #1":            {pkcs1[:200], false},
			"cut PKCS #1 in base64":  {[]byte(base64.StdEncoding.EncodeToString(pkcs1[:200])), false},
			"openssl rsa -modulus":   {fmt.Appendf(nil, "Modulus=%X\n", public.N), false},
			"openssl rsa -text":      {[]byte("Public-Key: (2048 bit)\nModulus:\n    00:" + dump(public.N.Bytes(), "%02x:") + "\n"), false},
			"PEM without first line": {[]byte(wrap(pkcs1, 64)), true},
		})
	}
	if public, ok := s.public.(*ecdsa.PublicKey); ok {
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		compressed := append([]byte{2 + point[64]&1}, point[1:33]...)
		maps.Copy(f, map[string]form{
			"point":               {point, false},
			"hex of point":        {[]byte(hex.EncodeToString(point)), false},
			"base64 of point":     {[]byte(b64(point)), false},
			"compressed point":    {compressed, false},
			"hex of a compressed": {[]byte(hex.EncodeToString(compressed)), false},
		})
	}
	return f
}

func wrap(b []byte, width int) string {
	var lines strings.Builder
	for s := base64.StdEncoding.EncodeToString(b); s != ""; s = s[min(width, len(s)):] {
		lines.WriteString(s[:min(width, len(s))] + "\n")
	}
	return lines.String()
}

func dump(b []byte, format string) (s string) {
	for _, c := range b {
		s += fmt.Sprintf(format, c)
	}
	return s
}

func utf16File(s string, little, bom bool) (b []byte) {
	var order binary.AppendByteOrder = binary.BigEndian
	if little {
		order = binary.LittleEndian
	}
	if bom {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func sshName(public any) string {
	switch public.(type) {
	case *rsa.PublicKey:
		return "ssh-rsa"
	case *ecdsa.PublicKey:
		return "ecdsa-sha2-nistp256"
	}
	return "ssh-ed25519"
}

// sshWire writes a key by RFC 4253 §6.6, RFC 5656 §3.1 and RFC 8709 §4.
func sshWire(public any) (b []byte) {
	add := func(field []byte) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...) }
	add([]byte(sshName(public)))
	switch public := public.(type) {
	case *rsa.PublicKey:
		add(big.NewInt(int64(public.E)).Bytes())
		add(append([]byte{0}, public.N.Bytes()...))
	case *ecdsa.PublicKey:
		point, _ := public.Bytes()
		add([]byte("nistp256"))
		add(point)
	case ed25519.PublicKey:
		add(public)
	}
	return b
}

// TestPublicKeyIsNoSecret: a file with a public key is read as that key or refused, in every form. A token signed
// with any form of it as an HS256 secret is never good.
func TestPublicKeyIsNoSecret(t *testing.T) {
	for alg, forms := range publicForms() {
		s := signers()[alg]
		for name, f := range forms {
			t.Run(alg+", "+name, func(t *testing.T) {
				path := write(t, f.file, 0o644)
				k, err := LoadKey("", path)
				if (err == nil) != f.read {
					t.Fatalf("key %v, error %v, want read %v", k, err, f.read)
				}
				if err != nil {
					if text := err.Error(); !strings.Contains(text, path) || len(text) > 600 {
						t.Errorf("error %q", text)
					}
					if _, err := SecretKey("", f.file); err == nil {
						t.Error("taken for a secret")
					}
					if _, err := LoadSecret(path); err == nil {
						t.Error("taken for a secret that a request shows")
					}
					// A secret of a JWK set is checked in the same way.
					set := keySet(object{"kty": "oct", "k": b64(f.file)}, jwkOf(s))
					if keys, skipped, err := parseKeySet(set, true); err != nil || len(keys) != 1 || len(skipped) != 1 {
						t.Errorf("as oct: keys %v, left out %v, %v", keys, skipped, err)
					}
					return
				}
				if _, err := LoadSecret(path); err == nil {
					t.Error("taken for a secret that a request shows")
				}
				if k.Algorithm() != alg || k.CanSign() {
					t.Fatalf("taken for %v", k)
				}
				v := verifier(t, func(c *Config) { c.Keys = []Key{k} })
				if _, err := v.Verify(s.mint(object{"kid": nil}, nil)); err != nil {
					t.Errorf("its own token: %v", err)
				}
				for secret, f := range forms {
					forger := signer{alg: "HS256", sign: func(text string) []byte { return hs256(f.file, text) }}
					for _, kid := range []any{nil, "", k.ID()} {
						if id, err := v.Verify(forger.mint(object{"kid": kid}, nil)); err == nil {
							t.Errorf("forged with %s: %v", secret, id)
						}
					}
				}
			})
		}
	}
}

// FuzzPublicKeyIsNoSecret: a public key with bytes before it, behind it, and in place of one of its own.
func FuzzPublicKeyIsNoSecret(f *testing.F) {
	names := []string{"PEM", "DER", "JWK", "base64 of DER", "hex of DER", "base64 of PEM", "SSH"}
	for i := range names {
		f.Add(byte(i), []byte{}, []byte{})
		f.Add(byte(i), []byte("x"), []byte("\n"))
		f.Add(byte(i), []byte("# a key\n\n"), []byte{0})
		f.Add(byte(i), []byte("\xff\xfe\x00"), []byte("=="))
		f.Add(byte(i), []byte{'\t'}, []byte("}"))
	}
	forms := publicForms()["RS256"]
	f.Fuzz(func(t *testing.T, which byte, before, behind []byte) {
		if len(before)+len(behind) > 1<<10 {
			return
		}
		file := slices.Concat(before, forms[names[int(which)%len(names)]].file, behind)
		if k, err := SecretKey("", file); err == nil {
			t.Errorf("%q is taken for a secret: %v", file, k)
		}
		if k, err := ParseKey("", file); err == nil && k.Algorithm() != "RS256" {
			t.Errorf("%q is taken for %v", file, k)
		}
	})
}

// TestSecretFiles: the files that are secrets, and the secrets that they are.
func TestSecretFiles(t *testing.T) {
	random := make([]byte, 48)
	rand.Read(random)
	random[0], random[47] = 0x80, '\n' // it is no text, but ends as text does
	text := func(n int) string { return strings.Repeat("s3cret! ", n/8+1)[:n] }
	for name, tt := range map[string]struct{ file, secret string }{
		"text":                  {text(40), text(40)},
		"text and a line end":   {text(40) + "\n", text(40)},
		"text and CRLF":         {text(40) + "\r\n", text(40)},
		"two line ends":         {text(40) + "\n\n", text(40) + "\n"},
		"words":                 {"correct horse battery staple and some", "correct horse battery staple and some"},
		"not Latin":             {"пароль из многих букв, в две строки", "пароль из многих букв, в две строки"},
		"bytes":                 {string(random), string(random)},
		"openssl rand -hex":     {hex.EncodeToString(random) + "\n", hex.EncodeToString(random)},
		"openssl rand -base64":  {wrap(random, 64), strings.TrimSuffix(wrap(random, 64), "\n")},
		"in lines":              {wrap(bytes.Repeat(random, 2), 64), strings.TrimSuffix(wrap(bytes.Repeat(random, 2), 64), "\n")},
		"digits":                {strings.Repeat("1234567890", 4), strings.Repeat("1234567890", 4)},
		"UUIDs":                 {"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"},
		"begins like many":      {"eyes, -- and = signs: " + text(20), "eyes, -- and = signs: " + text(20)},
		"in no quotes":          {`"` + text(40), `"` + text(40)},
		"less than":             {`<` + text(40), `<` + text(40)},
		"as short as may be":    {text(MinSecret-1) + "x", text(MinSecret-1) + "x"},
		"bytes that look short": {"\x00" + strings.Repeat(" ", MinSecret), "\x00" + strings.Repeat(" ", MinSecret)},
	} {
		k, err := LoadKey("k", write(t, []byte(tt.file), 0o600))
		if err != nil || k.Algorithm() != "HS256" || string(k.public.([]byte)) != tt.secret {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	token := signers()["HS256"].mint(nil, nil)
	for name, tt := range map[string]struct{ file, says string }{
		"empty":                {"", "has 0 bytes"},
		"blank":                {strings.Repeat(" \n", 40), "it is blank"},
		"short":                {text(MinSecret-1) + "\n", "31 bytes"},
		"short, in spaces":     {strings.Repeat(" ", 40) + "secret" + strings.Repeat(" ", 40), "has 6 bytes"},
		"a token":              {token, "a token"},
		"a token and more":     {"Authorization: Bearer " + token, "a token"},
		"an object":            {`{"secret":"` + text(40) + `"}`, "kty"},
		"a broken object":      {`{` + text(40), "JSON"},
		"a list":               {`["` + text(40) + `"]`, "JSON"},
		"a string":             {`"` + text(40) + `"`, "JSON"},
		"a program's settings": {"SECRET=" + text(40) + "\nOTHER=x\n", "several lines"},
		"behind a BOM":         {"\xef\xbb\xbf" + text(40), "byte order mark"},
		"UTF-16":               {string(utf16File(text(40), true, true)), "UTF-16"},
		"DER":                  {"\x30\x22\x04\x20" + text(32), "DER"},
	} {
		_, err := LoadKey("k", write(t, []byte(tt.file), 0o600))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %q in it", name, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

// TestRandomSecrets: random secrets are hardly ever refused. Of lengths other than those of points, none of ten
// thousand is; the bound holds with very high probability.
func TestRandomSecrets(t *testing.T) {
	for _, encode := range []func([]byte) []byte{
		bytes.Clone,
		func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
	} {
		refused := 0
		for i := range 3000 {
			b := make([]byte, []int{32, 48, 64, 128}[i%4])
			rand.Read(b)
			if what := structured(encode(b)); what != "" {
				refused++
				t.Logf("%x: %s", b, what)
			}
		}
		if refused > 5 {
			t.Errorf("%d of 3000 random secrets are refused", refused)
		}
	}
}

// TestPrivateKeys: a private half is recognised, and no file with one is a secret.
func TestPrivateKeys(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		pair := signers()[alg].pair
		der, err := x509.MarshalPKCS8PrivateKey(pair)
		if err != nil {
			t.Fatal(err)
		}
		for name, file := range map[string][]byte{
			"PEM": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), "DER": der,
			"base64": []byte(base64.StdEncoding.EncodeToString(der)),
		} {
			k, err := LoadKey("k", write(t, file, 0o600))
			if err != nil || !k.Private() || k.Algorithm() != alg {
				t.Errorf("%s, %s: %v, %v", alg, name, k, err)
			}
		}
		jwk, _ := json.Marshal(merge(jwkOf(signers()[alg]), object{"d": "AAAA"}))
		if _, err := LoadKey("", write(t, jwk, 0o600)); err == nil || !strings.Contains(err.Error(), "private half") {
			t.Errorf("%s, JWK: %v", alg, err)
		}
		if keys, skipped, err := parseKeySet(keySet(merge(jwkOf(signers()[alg]), object{"d": "AAAA"})), true); len(keys) != 0 || len(skipped) != 1 || err != nil {
			t.Errorf("%s, JWK set: %v, %v, %v", alg, keys, skipped, err)
		}
	}
	if k := signers()["HS256"].key; k.Private() {
		t.Error("a secret has a private half")
	}
}

// TestKeyNames: a JWK has a name of its own, which must not contradict the name that it is given.
func TestKeyNames(t *testing.T) {
	jwk, _ := json.Marshal(merge(jwkOf(signers()["ES256"]), object{"kid": "own"}))
	path := write(t, jwk, 0o644)
	for id, want := range map[string]string{"": "own", "own": "own"} {
		if k, err := LoadKey(id, path); err != nil || k.ID() != want {
			t.Errorf("%q: %v, %v", id, k, err)
		}
	}
	if _, err := LoadKey("other", path); err == nil || !strings.Contains(err.Error(), `"own"`) {
		t.Errorf("another name: %v", err)
	}
	secret, _ := json.Marshal(object{"kty": "oct", "kid": "s", "k": b64(bytes.Repeat([]byte("x"), MinSecret))})
	if k, err := LoadKey("", write(t, secret, 0o600)); err != nil || k.ID() != "s" || k.Algorithm() != "HS256" {
		t.Errorf("a secret in a JWK: %v, %v", k, err)
	}
	two := append(publicPEM(signers()["ES256"].public), publicPEM(signers()["EdDSA"].public)...)
	if _, err := LoadKey("", write(t, two, 0o644)); err == nil || !strings.Contains(err.Error(), "more than one") {
		t.Errorf("two keys in a file: %v", err)
	}
}

// TestLogNamesKeys: the log names the keys that verify, and the reasons why others of the set do not, once until that
// changes, and without a secret.
func TestLogNamesKeys(t *testing.T) {
	var log lockedBuffer
	secret := strings.Repeat("Sesame!", 6)
	file, err := LoadKey("mine", write(t, []byte(secret), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	set := keySet(merge(jwkOf(signers()["ES256"]), object{"kid": "theirs"}), object{"kty": "EC", "crv": "P-521", "kid": "large"},
		object{"kty": "oct", "kid": "theirs too", "k": b64([]byte(secret))})
	path := write(t, set, 0o600)
	v := verifier(t, func(c *Config) {
		c.Keys, c.KeySetFile, c.RefreshGap, c.Refresh = []Key{file}, path, time.Millisecond, 2*time.Millisecond
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	loads(t, v, 3)
	for part, want := range map[string]int{
		`msg="a key verifies tokens" key.kid=mine key.algorithm=HS256 key.secret_bytes=42 key.file=` + file.file: 1,
		`msg="a key of the set verifies tokens" key.kid=theirs key.algorithm=ES256`:                              1,
		`key.kid="theirs too" key.algorithm=HS256`:                                                               1,
		`level=WARN msg="a key of the set is not used"`:                                                          1,
		`P-521`:             1,
		"Sesame":            0,
		b64([]byte(secret)): 0,
	} {
		if got := strings.Count(log.String(), part); got != want {
			t.Errorf("%q is %d times in the log, want %d:\n%s", part, got, want, log.String())
		}
	}
	if err := os.WriteFile(path, keySet(), 0o600); err != nil {
		t.Fatal(err)
	}
	loads(t, v, 3)
	if got := strings.Count(log.String(), "no key that we can use"); got != 1 {
		t.Errorf("%d times that the set is empty, want once", got)
	}
}
