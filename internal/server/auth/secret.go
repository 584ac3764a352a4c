package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// Secret is a key that callers send as it is, in "Authorization: Bearer SECRET": no token is made with it.
type Secret struct{ sum [sha256.Size]byte }

// Lengths of a Secret in bytes.
const (
	minBearer = 16
	maxBearer = 1024
)

// LoadSecret reads a Secret from a file: one line of 16 to 1024 characters that a bearer token may have (RFC 6750
// §2.1).
func LoadSecret(path string) (*Secret, error) {
	file, err := readFile(path, maxBearer+2)
	if err != nil {
		return nil, err
	}
	b := secretOf(file)
	switch {
	case len(b) > maxBearer:
		return nil, fmt.Errorf("auth: %s has more than %d bytes", path, maxBearer)
	case len(b) < minBearer:
		return nil, fmt.Errorf("auth: %s has %d bytes: a key of less than %d is guessed", path, len(b), minBearer)
	case strings.ContainsFunc(string(b), func(c rune) bool { return !strings.ContainsRune(bearerAlphabet, c) }) || strings.ContainsAny(strings.TrimRight(string(b), "="), "="):
		return nil, fmt.Errorf("auth: %s: a key is one line of letters, digits and -._~+/ (openssl rand -base64 32 makes one)", path)
	case structured(b) != "": // others may know it, as with an HS256 secret
		return nil, fmt.Errorf("auth: %s is %s: want one line without structure (openssl rand -base64 32 makes one)", path, structured(b))
	}
	return &Secret{sha256.Sum256(b)}, nil
}

const bearerAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

// Shown reports whether a request has the secret. The time that it takes tells nothing about the secret.
func (s *Secret) Shown(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	return subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}
