package auth_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
)

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for file, ok := range map[string]bool{
		"0123456789abcdef": true, "0123456789abcdef\n": true, "0123456789abcdef\r\n": true, "abcdEFGH0123-._~+/==": true,
		strings.Repeat("x", 1024): true,
		"":                        false, "\n": false, "0123456789abcde": false, "0123456789abcde\n": false,
		"0123456789 abcdef": false, "0123456789\nabcdef": false, " 0123456789abcdef": false, "0123456789=abcdef": false, "0123456789abcdé": false,
		strings.Repeat("x", 1025): false, "-----BEGIN PUBLIC KEY-----\n": false, `{"kty":"oct","k":"0123456789abcdef"}`: false,
	} {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := auth.LoadSecret(path)
		if (err == nil) != ok {
			t.Errorf("%.40q: %v", file, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%.40q: %v does not name the file", file, err)
			}
			continue
		}
		key := strings.TrimRight(file, "\r\n")
		for header, want := range map[string]bool{
			"Bearer " + key: true, "bearer " + key: true, "Bearer  " + key: true,
			"": false, key: false, "Bearer": false, "Bearer " + key + "x": false, "Bearer " + key[1:]: false, "Basic " + key: false,
		} {
			r := &http.Request{Header: http.Header{"Authorization": {header}}}
			if got := s.Shown(r); got != want {
				t.Errorf("%.40q shows %.40q: %v", header, key, got)
			}
		}
	}
	if _, err := auth.LoadSecret(path + "x"); err == nil {
		t.Error("a file that is not there is a key")
	}
}
