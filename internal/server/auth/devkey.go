package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/perchws/perch/internal/entropy"
)

const (
	// DevKeyID is the kid of the development key: a server with real keys does not know it.
	DevKeyID = "dev"

	devKeyBytes   = 32
	maxDevKeyFile = 128
)

// DevKeyPath is the path of this user's development key: perch/dev.key in $XDG_STATE_HOME, by default ~/.local/state.
// It fails for a user without a home.
func DevKeyPath() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the specification says to ignore relative paths
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return "", errors.New("auth: no home directory for the development key: name a file")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "perch", "dev.key"), nil
}

// DevKey reads the development key from a file, or makes the key and the file, with mode 0600. Several processes may
// do so at once; all get the same key. It refuses a file that other users may read or write, that belongs to another
// user, or that is a symbolic link or otherwise no regular file.
func DevKey(path string) (Key, error) {
	k, err := readDevKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := makeDevKey(path); err != nil {
		return Key{}, fmt.Errorf("auth: development key: %w", err)
	}
	return readDevKey(path)
}

// CheckDevKey returns the error that DevKey would return, or nil. It leaves nothing behind.
func CheckDevKey(path string) error {
	_, err := readDevKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".dev.key-*")
	if err != nil {
		return fmt.Errorf("auth: development key: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// RandomKey makes a development key without a file: it is good as long as the process runs.
func RandomKey() (Key, error) {
	return SecretKey(DevKeyID, devSecret())
}

// devSecret never comes from a seed, because the key is kept.
func devSecret() []byte {
	secret := make([]byte, devKeyBytes)
	entropy.System{}.Fill(secret)
	return secret
}

func readDevKey(path string) (Key, error) {
	file, info, err := readFlags(path, maxDevKeyFile, syscall.O_NOFOLLOW)
	if err != nil {
		return Key{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Key{}, fmt.Errorf("auth: development key %s has mode %#o, others can use it: chmod 600, or remove it and get a new one", path, mode)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return Key{}, fmt.Errorf("auth: development key %s belongs to user %d, not to us", path, stat.Uid)
	}
	secret := decode(string(bytes.TrimSuffix(file, []byte("\n"))))
	if len(secret) != devKeyBytes {
		return Key{}, fmt.Errorf("auth: development key %s is malformed: remove it and get a new one", path)
	}
	return SecretKey(DevKeyID, secret)
}

// makeDevKey writes a temporary file and links it to path. So the file at path is always whole, and the first of
// several makers wins.
func makeDevKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".dev.key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(devSecret()) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
