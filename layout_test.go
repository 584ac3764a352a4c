package perch_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	module   = "github.com/perchws/perch"
	maxLines = 600 // of a Go file, tests too
)

// any of our packages may be imported, but for those that exist for tests alone.
const all = "*"

// mayImport is the import graph: for every package of this module (by directory, "." is the root)
// the packages of ours that its non-test files may import. Tests may import what they like.
// A package that is not listed here does not exist: add it together with the reason in
// docs/architecture.md.
var mayImport = map[string][]string{
	"frame":               {},
	"frame/deflate":       {"frame"},
	"handshake":           {},
	"poller":              {},
	"pool":                {},
	"internal/beside":     {},
	"internal/clock":      {},
	"internal/closing":    {},
	"internal/entropy":    {},
	"internal/ledger":     {},
	"internal/limit":      {},
	"internal/owner":      {},
	"internal/procs":      {},
	"internal/sock":       {},
	"internal/spawn":      {},
	"internal/connescape": {},
	"internal/label":      {},
	"internal/outbox":     {"frame", "internal/sock", "pool"},
	"internal/wire":       {},
	"room":                {"frame", "internal/beside", "internal/clock", "internal/entropy", "internal/label", "internal/ledger"},
	"room/brokertest":     {"room", "frame"},
	".": { // one a line: many add to it
		"frame",
		"frame/deflate",
		"handshake",
		"poller",
		"pool",
		"room",
		"internal/beside",
		"internal/clock",
		"internal/closing",
		"internal/entropy",
		"internal/ledger",
		"internal/limit",
		"internal/outbox",
		"internal/owner",
		"internal/procs",
		"internal/sock",
		"internal/spawn",
		"internal/wire",
	},
	"session":           {"internal/clock", "internal/entropy", "internal/ledger", "internal/limit"},
	"session/storetest": {"session"},
	"docs":              {},
	"bench":             {".", "frame", "handshake", "poller", "internal/sock"},
	"bench/stats":       {},
	"bench/record":      {"bench", "bench/stats"},
	"bench/child":       {},
	"bench/abuse":       {"bench", "bench/child", "frame"},
	"bench/suite":       {"bench", "bench/child", "bench/record", "internal/server/certs", "internal/sock"},
	"bench/plot":        {},
	"bench/page":        {"bench/plot", "bench/record", "bench/stats"},

	// What makes perchd: public packages only, and not each other.
	"internal/server/config":   {".", "handshake", "room", "session"},
	"internal/server/auth":     {".", "room", "session", "internal/clock", "internal/entropy", "internal/spawn", "internal/label"},
	"internal/server/certs":    {},
	"internal/server/chat":     {".", "frame", "room", "session", "internal/server/auth", "internal/server/endpoint", "internal/server/protocol", "internal/clock", "internal/entropy", "internal/spawn", "internal/label", "internal/ledger"},
	"internal/server/admin":    {".", "room", "session"},
	"internal/server/endpoint": {".", "room", "session", "internal/server/auth", "internal/server/protocol", "internal/clock", "internal/entropy", "internal/spawn", "internal/label", "internal/ledger", "internal/limit"},
	"internal/server/metrics":  {".", "room", "session", "internal/server/protocol", "internal/clock", "internal/ledger"},
	"internal/server/logging":  {".", "room", "session", "internal/clock", "internal/spawn"},
	"internal/server/reclaim":  {"internal/clock"},
	"internal/server/protocol": {},
	"internal/server/web":      {".", "room", "session", "docs"},
	"internal/server/echo":     {".", "room", "session"},
	"cmd/perchd":               {all},
	"cmd/perchbench":           {all},
	"cmd/perchvet":             {"internal/connescape"},

	// For tests alone; nobody lists them. Below enginetest are the tests of the engine from outside.
	"internal/simkernel":              {"poller", "internal/clock", "internal/sock"},
	"internal/enginetest":             {all},
	"internal/enginetest/roommodel":   {".", "room"},
	"internal/enginetest/callbacks":   {},
	"internal/enginetest/closing":     {},
	"internal/enginetest/compression": {},
	"internal/enginetest/http":        {},
	"internal/enginetest/lifecycle":   {},
	"internal/enginetest/limits":      {},
	"internal/enginetest/listen":      {},
	"internal/enginetest/liveness":    {},
	"internal/enginetest/rooms":       {},
	"internal/enginetest/tls":         {},
	"internal/testrun":                {},
	"internal/puff":                   {},
	"internal/wstest":                 {"frame", "handshake"},
	"internal/conformance":            {all},
	"internal/interop":                {all},
}

// testOnly packages are out of reach for non-test files, "*" or not.
var testOnly = []string{"internal/simkernel", "internal/enginetest", "internal/enginetest/roommodel", "session/storetest", "room/brokertest", "internal/testrun", "internal/puff", "internal/wstest", "internal/conformance", "internal/interop"}

// mayRequire holds the packages of other modules that non-test files may import, and who may.
// Everything else in go.mod is there for tests and tools.
var mayRequire = map[string][]string{
	"golang.org/x/sys/unix":             {"internal/simkernel", ".", "poller", "bench", "bench/abuse", "bench/child", "bench/suite", "internal/clock", "internal/outbox", "internal/sock", "internal/procs"},
	"github.com/valyala/bytebufferpool": {"pool"},
	"github.com/golang-jwt/jwt/v5":      {"internal/server/auth"},
	"github.com/BurntSushi/toml":        {"internal/server/config"},
	"golang.org/x/crypto/argon2":        {"room"},
	"golang.org/x/text/cases":           {"internal/label"},
	"golang.org/x/text/unicode/norm":    {"internal/label"},
	"golang.org/x/text/width":           {"internal/label"},

	"github.com/HdrHistogram/hdrhistogram-go": {"bench"},

	"golang.org/x/tools/go/analysis":               {"internal/connescape"},
	"golang.org/x/tools/go/types/typeutil":         {"internal/connescape"},
	"golang.org/x/tools/go/analysis/singlechecker": {"cmd/perchvet"},

	"github.com/klauspost/compress/flate": {"frame/deflate"},

	"github.com/prometheus/client_golang/prometheus":            {"internal/server/metrics"},
	"github.com/prometheus/client_golang/prometheus/collectors": {"internal/server/metrics"},
	"github.com/prometheus/client_golang/prometheus/promhttp":   {"internal/server/metrics"},
}

var (
	// pure packages turn bytes into values: no sockets, files, logs or clocks. (Of net/http they
	// use http.Header and the status texts.)
	pure   = []string{"frame", "handshake"}
	impure = []string{"io", "log", "log/slog", "net", "os", "syscall", "time", "golang.org/x/sys/unix"}
	// badName lists drawers: names that say nothing about what is inside.
	badName = []string{"common", "misc", "pkg", "types", "util", "utils"}
)

// TestLayout parses the files themselves: `go list` would need a build that works, and its answer
// would be cached.
func TestLayout(t *testing.T) {
	faults, files, err := layout(os.DirFS("."))
	reportFaults(t, faults, err)
	if files < 10 {
		t.Errorf("only %d Go files seen: not the root of the repository?", files)
	}
}

// TestLayoutDocumented demands a line in docs/dependencies.md for each direct requirement of go.mod.
func TestLayoutDocumented(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) != 2 || f[0] == "module" || f[0] == "go" || f[0] == "toolchain" {
			continue // indirect ones have a comment, so more fields
		}
		name := f[0]
		if name == "tool" {
			name = f[1]
		}
		if name != "require" && !bytes.Contains(doc, []byte("`"+name+"`")) {
			t.Errorf("go.mod requires %s, docs/dependencies.md does not say why", name)
		}
	}
}

// layout returns what is wrong with the Go files under root, and how many it looked at.
func layout(root fs.FS) (faults []string, files int, err error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if slices.Contains(badName, d.Name()) && skipDir(root, name) == nil {
			fault("%s: directory name %q says nothing", name, d.Name())
		}
		return skipDir(root, name)
	})
	if err != nil {
		return nil, 0, err
	}
	err = eachGoFile(root, func(f sourceFile) {
		files++
		if n := bytes.Count(f.src, []byte("\n")); n > maxLines {
			fault("%s: %d lines, %d is the ceiling: split it by noun or verb", f.name, n, maxLines)
		}
		if _, known := mayImport[f.dir]; !known {
			fault("%s: package %q is not in the table of layout_test.go", f.name, f.dir)
		}
		if slices.Contains(badName, strings.TrimSuffix(f.Name.Name, "_test")) {
			fault("%s: package name %q says nothing", f.name, f.Name.Name)
		}
		if f.forTest() {
			return
		}
		for _, imported := range f.imports() {
			if why := checkImport(f.dir, imported); why != "" {
				fault("%s: imports %s: %s", f.name, imported, why)
			}
		}
	})
	return faults, files, err
}

// checkImport returns why a non-test file of package dir must not import this, or "".
func checkImport(dir, imported string) string {
	if slices.Contains(pure, dir) && slices.Contains(impure, imported) {
		return dir + " does no I/O"
	}
	ours, ok := strings.CutPrefix(imported+"/", module+"/")
	if ok {
		ours = cmp.Or(strings.TrimSuffix(ours, "/"), ".")
		allowed := mayImport[dir]
		switch _, known := mayImport[ours]; {
		case !known:
			return "not in the table of layout_test.go"
		case slices.Contains(testOnly, ours) && !slices.Contains(testOnly, dir):
			return "for tests alone"
		case slices.Contains(allowed, ours), slices.Contains(allowed, all):
			return ""
		}
		return "not allowed by the table of layout_test.go"
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if slices.Contains(testOnly, dir) || slices.Contains(mayRequire[imported], dir) {
		return ""
	}
	return "not in non-test files of this package (docs/dependencies.md)"
}

// TestLayoutFinds plants each fault in a small tree: a check that cannot fail checks nothing.
func TestLayoutFinds(t *testing.T) {
	src := func(pkg string, imports ...string) *fstest.MapFile {
		var b strings.Builder
		b.WriteString("package " + pkg + "\n")
		for _, i := range imports {
			fmt.Fprintf(&b, "import _ %q\n", i)
		}
		return &fstest.MapFile{Data: []byte(b.String())}
	}
	long := &fstest.MapFile{Data: []byte("package frame\n" + strings.Repeat("\n", maxLines))}
	for _, tt := range []struct {
		name string
		tree fstest.MapFS
		want string // part of the one fault; "" means none
	}{
		{"allowed", fstest.MapFS{"a.go": src("perch", "net", module+"/frame", "golang.org/x/sys/unix")}, ""},
		{"allowed in a test", fstest.MapFS{"frame/a_test.go": src("frame", "github.com/gobwas/ws", module)}, ""},
		{"upwards", fstest.MapFS{"frame/a.go": src("frame", module)}, "not allowed"},
		{"sideways", fstest.MapFS{"internal/server/web/a.go": src("web", module+"/internal/server/echo")}, "not allowed"},
		{"internal of the engine", fstest.MapFS{"session/a.go": src("session", module+"/internal/sock")}, "not allowed"},
		{"unknown package", fstest.MapFS{"internal/drawer/a.go": src("drawer")}, "not in the table"},
		{"unknown package of a test", fstest.MapFS{"internal/drawer/a_test.go": src("drawer")}, "not in the table"},
		{"import of an unknown one", fstest.MapFS{"cmd/perchd/a.go": src("main", module+"/internal/drawer")}, "not in the table"},
		{"test package", fstest.MapFS{"cmd/perchd/a.go": src("main", module+"/internal/wstest")}, "for tests alone"},
		{"peer", fstest.MapFS{"bench/a.go": src("bench", "github.com/gorilla/websocket")}, "not in non-test files"},
		{"peer of the codec", fstest.MapFS{"frame/a.go": src("frame", "github.com/gobwas/ws")}, "not in non-test files"},
		{"new dependency", fstest.MapFS{"a.go": src("perch", "example.com/x")}, "not in non-test files"},
		{"codec with sockets", fstest.MapFS{"handshake/a.go": src("handshake", "net")}, "no I/O"},
		{"long file", fstest.MapFS{"frame/a.go": long}, "ceiling"},
		{"long test", fstest.MapFS{"frame/a_test.go": long}, "ceiling"},
		{"package name", fstest.MapFS{"frame/a.go": src("util")}, "says nothing"},
		{"other module", fstest.MapFS{"bench/peers/go.mod": {}, "bench/peers/a.go": src("main", "example.com/x")}, ""},
		{"testdata", fstest.MapFS{"frame/testdata/a.go": src("util", "example.com/x")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults, _, err := layout(tt.tree)
			expectFaults(t, faults, err, tt.want)
		})
	}
	faults, _, err := layout(fstest.MapFS{"internal/util/readme": {}})
	expectFaults(t, faults, err, "directory name")
}
