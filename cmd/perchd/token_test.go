package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
)

// token runs `perchd token` and returns its output, which must be one line.
func token(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut strings.Builder
	if status := tokenCommand(args, &out, &errOut); status != 0 || errOut.Len() != 0 {
		t.Fatalf("%q: status %d, %s", args, status, &errOut)
	}
	line, rest, _ := strings.Cut(out.String(), "\n")
	if line == "" || rest != "" {
		t.Fatalf("%q printed %q", args, &out)
	}
	return line
}

func verify(t *testing.T, token string, k auth.Key, audience ...string) auth.Identity {
	t.Helper()
	v, err := auth.New(auth.Config{Keys: []auth.Key{k}, Audience: audience, Leeway: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	id, err := v.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTokenOfDevelopmentKey(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	start := time.Now().Truncate(time.Second)
	plain := token(t) // makes the key
	k, err := auth.DevKey(filepath.Join(state, "perch", "dev.key"))
	if err != nil {
		t.Fatal(err)
	}
	id := verify(t, plain, k)
	if ttl := id.Expires.Sub(start); id.Subject != "dev" || id.Rooms != nil || ttl < time.Hour || ttl > time.Hour+time.Minute {
		t.Errorf("plain: %+v", id)
	}
	id = verify(t, token(t, "--sub", "alice", "--ttl", "90m", "--room", "tea", "--room", "general", "--aud", "chat", "--aud", "x"), k, "chat")
	if ttl := id.Expires.Sub(start); id.Subject != "alice" || !slices.Equal(id.Rooms, []string{"tea", "general"}) || ttl < 90*time.Minute || ttl > 91*time.Minute {
		t.Errorf("with claims: %+v", id)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	fresh := token(t, "--dev-key", other)
	if k, err = auth.DevKey(other); err != nil {
		t.Fatal(err)
	}
	verify(t, fresh, k)
	t.Setenv("PERCH_AUTH_DEV_KEY", other)
	verify(t, token(t), k)
}

func TestTokenOfConfiguredKey(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		t.Fatal(err)
	}
	k, err := auth.ParseKey("k1", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	verify(t, token(t, "--key", path, "--kid", "k1"), k)

	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", auth.MinSecret)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err = auth.SecretKey("", []byte(strings.Repeat("s", auth.MinSecret))); err != nil {
		t.Fatal(err)
	}
	verify(t, token(t, "--key", secret), k)
}

func TestTokenRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	loose := filepath.Join(dir, "loose")
	if err := os.WriteFile(loose, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, says string }{
		{"alice", "alice"},
		{"--nonsense", "nonsense"},
		{"--ttl 0s", "ttl"},
		{"--ttl -1h", "ttl"},
		{"--ttl soon", "ttl"},
		{"--sub=", "sub"},
		{"--sub \x1b", "sub"},
		{"--room=", "rooms"},
		{"--kid k", "--key"},
		{"--key a --dev-key b", "one of them"},
		{"--key " + filepath.Join(dir, "none"), "none"},
		{"--dev-key " + loose, "mode"},
	} {
		var out, errOut strings.Builder
		status := tokenCommand(strings.Split(tt.args, " "), &out, &errOut)
		if status == 0 || out.Len() != 0 || !strings.Contains(errOut.String(), tt.says) {
			t.Errorf("%q: status %d, %q, %q, want a refusal that names %s", tt.args, status, &out, &errOut, tt.says)
		}
	}
	var out strings.Builder
	if status := tokenCommand([]string{"--help"}, &out, &out); status != 0 || !strings.Contains(out.String(), "-ttl") {
		t.Errorf("--help: status %d, %s", status, &out)
	}
}
