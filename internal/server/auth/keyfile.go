package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// forms ends messages about files with keys.
const forms = "in PEM or DER form, or as a JWK"

// LoadKey reads a key from a file: as ParseKey does, or, if the file has no structure, a secret for HS256. One line
// end is removed from text; bytes are used as they are. Other files are refused, and so are files that may be
// something else in an encoding: everybody who knows a public key could sign with it. (The 32 bytes of a bare Ed25519
// key, or a bare modulus, look like a secret: such a file is used as one.)
func LoadKey(id, path string) (Key, error) {
	file, err := readFile(path, maxKeyFile)
	if err != nil {
		return Key{}, err
	}
	read := parseKey
	if structured(file) == "" {
		read, file = secretKey, secretOf(file)
	}
	k, err := read(id, file)
	if err != nil {
		return Key{}, fmt.Errorf("auth: key %q: %s: %w", id, path, err)
	}
	k.file = path
	return k, nil
}

// secretOf is the secret in a file, without the line end that editors and echo add.
func secretOf(file []byte) []byte {
	if !isText(file) {
		return file
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(file, []byte("\n")), []byte("\r"))
}

// ParseKey makes a key from a file: in PEM form with any text before and behind it, in DER form, or either in base64.
// It takes PKIX or PKCS #1 public keys, certificates, PKCS #8, PKCS #1 or SEC 1 private keys; or a JWK (RFC 7517) of
// a public key, whose own kid is used if id is empty. RSA (2048 to 8192 bits) is for RS256, P-256 for ES256, Ed25519
// for EdDSA; other keys are refused. The error says what kind of file it is.
func ParseKey(id string, file []byte) (Key, error) {
	k, err := parseKey(id, file)
	if err != nil {
		return Key{}, fmt.Errorf("auth: key %q: %w", id, err)
	}
	return k, nil
}

func parseKey(id string, file []byte) (Key, error) {
	whole := file
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimSpace(file)
	switch {
	case bytes.Contains(file, []byte("-----BEGIN ")):
		return parsePEM(id, file)
	case bytes.HasPrefix(trimmed, []byte("{")):
		return parseJWK(id, trimmed)
	}
	der := bytes.TrimLeft(file, " \t\r\n")
	if text := joinLines.Replace(string(trimmed)); len(text) > 0 {
		text = strings.TrimRight(toStdBase64.Replace(text), "=")
		if b, err := base64.RawStdEncoding.DecodeString(text); err == nil {
			der = b
		}
	}
	if len(der) > 0 && der[0] == 0x30 {
		return parseDER(id, der)
	}
	return Key{}, notAKey(structured(whole))
}

// notAKey makes an error that says what a file without a usable key is, and what to do.
func notAKey(what string) error {
	advice := ""
	switch {
	case strings.Contains(what, "SSH public"):
		advice = "; ssh-keygen -e -m PKCS8 -f FILE prints it in PEM form"
	case strings.Contains(what, "UTF-16"), strings.Contains(what, "byte order mark"):
		advice = "; save it as UTF-8 without a byte order mark"
	case what == "":
		what = "bytes without structure"
	}
	return fmt.Errorf("it is %s: want a public key %s, or a secret for HS256 without structure%s", what, forms, advice)
}

func parsePEM(id string, file []byte) (Key, error) {
	var key *Key
	certificates := 0
	var other []string
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			if certificates++; certificates > 1 {
				continue // a chain: the first certificate is the issuer's own
			}
		}
		parsed, err := parseBlock(block)
		switch {
		case err != nil:
			return Key{}, err
		case parsed == nil: // some keys have EC PARAMETERS in front
			other = append(other, block.Type)
			continue
		}
		k, err := newKey(id, parsed)
		if err != nil {
			return Key{}, err
		}
		if key != nil {
			return Key{}, errors.New("there is more than one key in the file: want a file for each")
		}
		key = &k
	}
	switch {
	case key != nil:
		return *key, nil
	case len(other) > 0:
		return Key{}, fmt.Errorf("a PEM file of %s: want PUBLIC KEY or CERTIFICATE", strings.Join(other, ", "))
	}
	return Key{}, errors.New("a PEM file that is broken, or of a kind we do not read: no key in it")
}

// parseBlock returns nil for a block that holds no key.
func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it is encrypted")
	}
	return nil, nil
}

// parseDER tries the forms of DER one after the other: none of them is valid as another.
func parseDER(id string, file []byte) (Key, error) {
	der, rest, ok := sequence(file)
	switch {
	case !ok:
		return Key{}, errors.New("a key in DER form that is broken or cut")
	case len(bytes.TrimSpace(rest)) > 0:
		return Key{}, fmt.Errorf("a structure in DER form with %d bytes behind it", len(rest))
	}
	for _, kind := range []string{"PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"} {
		if parsed, err := parseBlock(&pem.Block{Type: kind, Bytes: der}); err == nil {
			return newKey(id, parsed)
		}
	}
	return Key{}, errors.New("a structure in DER form that is no key and no certificate that we read (openssl pkcs12 -nokeys -clcerts takes the certificate out of PKCS #12)")
}

func parseJWK(id string, file []byte) (Key, error) {
	var j struct {
		jwk
		Keys json.RawMessage `json:"keys"`
	}
	switch err := json.Unmarshal(file, &j); {
	case err != nil:
		return Key{}, errors.New("JSON that is broken, or no JWK")
	case j.Keys != nil:
		return Key{}, errors.New("a JWK set: give it as auth-jwks-file")
	case j.Kty == "":
		return Key{}, errors.New(`JSON that is no JWK: there is no "kty"`)
	case id != "" && j.Kid != "" && id != j.Kid:
		return Key{}, fmt.Errorf("the JWK has the kid %q", j.Kid)
	case id != "":
		j.Kid = id
	}
	return j.key(true)
}

// KeySet returns the keys of a JWK set in a file that can be used; none if there is no such set.
func KeySet(path string) []Key {
	if path == "" {
		return nil
	}
	file, err := readFile(path, maxKeySet)
	if err != nil {
		return nil
	}
	keys, _, _ := parseKeySet(file, true)
	return keys
}
