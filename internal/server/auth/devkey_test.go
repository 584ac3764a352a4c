package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestDevKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "perch", "dev.key")
	var keys [8]Key
	var group sync.WaitGroup
	for i := range keys { // all processes start for the first time
		group.Go(func() {
			var err error
			if keys[i], err = DevKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, k := range keys {
		if k.method == nil || !bytes.Equal(k.public.([]byte), keys[0].public.([]byte)) {
			t.Fatal("two makers of the key got different ones")
		}
	}
	if keys[0].ID() != DevKeyID || keys[0].Algorithm() != "HS256" {
		t.Errorf("key %v", keys[0])
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("file %v, %v, want mode 0600", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v, want mode 0700", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
	again, err := DevKey(path)
	if err != nil || !bytes.Equal(again.public.([]byte), keys[0].public.([]byte)) {
		t.Errorf("second start: %v, %v", again, err)
	}
	other, err := DevKey(filepath.Join(dir, "other"))
	if err != nil || bytes.Equal(other.public.([]byte), keys[0].public.([]byte)) {
		t.Errorf("another file: %v, %v", other, err)
	}
}

func TestDevKeyRefuses(t *testing.T) {
	good := b64(bytes.Repeat([]byte{7}, devKeyBytes)) + "\n"
	if _, err := DevKey(write(t, []byte(good), 0o400)); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610} {
		if _, err := DevKey(write(t, []byte(good), mode)); err == nil || !strings.Contains(err.Error(), "mode") {
			t.Errorf("mode %#o: error %v, want one about the mode", mode, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(write(t, []byte(good), 0o600), link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"symbolic link": link,
		"FIFO":          fifo,
		"directory":     t.TempDir(),
		"empty":         write(t, nil, 0o600),
		"short":         write(t, []byte(b64(make([]byte, devKeyBytes-1))), 0o600),
		"long":          write(t, []byte(strings.Repeat("A", maxDevKeyFile+1)), 0o600),
		"no base64":     write(t, []byte(strings.Repeat("!", 43)), 0o600),
		"file in way":   filepath.Join(write(t, nil, 0o600), "dev.key"),
	} {
		if k, err := DevKey(path); err == nil {
			t.Errorf("%s: %v, want an error", name, k)
		}
	}
	if os.Geteuid() == 0 {
		path := write(t, []byte(good), 0o600)
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := DevKey(path); err == nil || !strings.Contains(err.Error(), "12345") {
			t.Errorf("file of another user: error %v", err)
		}
	}
}

func TestDevKeyPath(t *testing.T) {
	for _, tt := range []struct{ state, home, want string }{
		{"/state", "/home/a", "/state/perch/dev.key"},
		{"", "/home/a", "/home/a/.local/state/perch/dev.key"},
		{"relative", "/home/a", "/home/a/.local/state/perch/dev.key"},
		{"", "", ""},
		{"", "relative", ""},
	} {
		t.Setenv("XDG_STATE_HOME", tt.state)
		t.Setenv("HOME", tt.home)
		got, err := DevKeyPath()
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("state %q, home %q: %q, %v, want %q", tt.state, tt.home, got, err, tt.want)
		}
	}
}
