//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// binaries are the commands of this repository, built once for all tests.
type binaries struct {
	once sync.Once
	dir  string
	err  error
}

var built binaries

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary returns the path of a command, built with the race detector if the tests are.
func binary(t *testing.T, name string) string {
	t.Helper()
	need(t, "https://go.dev/doc/install", "go")
	built.once.Do(func() { built.dir, built.err = build("../..") })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

func build(root string) (dir string, err error) {
	if err := touch(root); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "perch-interop-"); err != nil {
		return "", err
	}
	args := []string{"build", "-pgo=off", "-o", dir + "/"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	cmd := exec.Command("go", append(args, "./cmd/perchd", "./cmd/perchbench")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
}

// touch looks at every source file of the binaries, and so makes them inputs of this test: go test
// must not answer from its cache when only cmd has changed.
func touch(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bench" || name == "bin" || name == "testdata") {
			return fs.SkipDir
		}
		if !d.IsDir() && !strings.HasSuffix(name, "_test.go") {
			_, err = os.Stat(path)
		}
		return err
	})
}

// daemon is a running perchd.
type daemon struct {
	*program
	addr   string
	secure string // "s" of https and wss
}

// startPerchd runs perchd on a free port of loopback and waits until it serves.
func startPerchd(t *testing.T, args ...string) *daemon {
	t.Helper()
	path := binary(t, "perchd")
	d := &daemon{program: start(t, nil, nil, path, append([]string{
		"--listen", "127.0.0.1:0", "--log-format", "json", "--auth-dev-key", filepath.Join(t.TempDir(), "dev.key"),
	}, args...)...)}
	var line struct{ Address, Page, Try string }
	if err := json.Unmarshal([]byte(d.line("perchd serves")), &line); err != nil {
		t.Fatal(err)
	}
	d.addr = line.Address
	try := "websocat "
	if slices.Contains(args, "--tls-self-signed") {
		d.secure, try = "s", "websocat -k "
	}
	if line.Page != d.http("/") || line.Try != try+d.ws("/ws") {
		t.Errorf("perchd says %+v", line)
	}
	return d
}

func (d *daemon) ws(path string) string   { return "ws" + d.secure + "://" + d.addr + path }
func (d *daemon) http(path string) string { return "http" + d.secure + "://" + d.addr + path }
