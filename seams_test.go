package perch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/sock"
)

// What the engine must not do by itself, and where it may all the same. Everything that
// is here by name is out of a simulation's reach: each has its reason.
var seamExceptions = map[string]string{
	"pool/workers.go: go":           "pool.NewWorkers by itself: the engine passes its own start",
	"server.go: sock.Listen":        "finds out whether the address is free, before there are loops",
	"server.go: sock.LocalAddr":     "the same",
	"listener.go: sock.LocalAddr":   "of a listener that somebody else has made, before there are loops",
	"listener.go: sock.Close":       "the same listener, which belongs to no loop",
	"http_passage.go: sock.Close":   "the pair of unix sockets through which descriptors go to net/http",
	"room/hub.go: maphash.MakeSeed": "hashes of names that look alike, in a table of this process",
	"shutdown.go: sock.Close":       "the same pair",

	"session/memory.go: maphash.MakeSeed":             "places in a table of this process; nobody sees the order",
	"internal/server/auth/asked.go: maphash.MakeSeed": "the same",
	"internal/server/chat/names.go: maphash.MakeSeed": "the same",
}

// seamed are the packages in which every use of time, randomness, sockets and goroutines
// goes through a seam.
var seamed = []string{
	".", "room", "pool", "session", "internal/server/auth", "internal/server/chat", "internal/server/endpoint",
	"internal/server/logging", "internal/server/metrics", "internal/server/protocol",
}

// forbidden are the functions of other packages that a seam takes the place of.
func forbidden() map[string][]string {
	kernel := reflect.TypeFor[sock.Kernel]()
	var calls []string
	for i := range kernel.NumMethod() {
		calls = append(calls, kernel.Method(i).Name)
	}
	return map[string][]string{
		"time":                                   {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
		"hash/maphash":                           {"MakeSeed"},
		"github.com/perchws/perch/internal/sock": calls,
	}
}

// TestSeams: time, randomness, sockets and goroutines come from the seams, and nothing
// in the list of exceptions is out of date.
func TestSeams(t *testing.T) {
	used := make(map[string]bool)
	for _, dir := range seamed {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			faults, err := seams(name, string(src))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults {
				key := name + ": " + f.what
				if used[key] = true; seamExceptions[key] == "" {
					t.Errorf("%s:%d: %s, which is not through a seam (seams.go)", name, f.line, f.what)
				}
			}
		}
	}
	for key := range seamExceptions {
		if !used[key] {
			t.Errorf("the exception %q is not needed any more", key)
		}
	}
}

type seamFault struct {
	line int
	what string
}

// seams finds what is not through a seam in a source file.
func seams(name, src string) (faults []seamFault, err error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	add := func(n ast.Node, format string, args ...any) {
		faults = append(faults, seamFault{files.Position(n.Pos()).Line, fmt.Sprintf(format, args...)})
	}
	packages := make(map[string]string) // by the name in this file
	for _, imp := range f.Imports {
		p := strings.Trim(imp.Path.Value, `"`)
		local := strings.TrimSuffix(path.Base(p), "/v2")
		if strings.HasSuffix(p, "/v2") {
			local = path.Base(strings.TrimSuffix(p, "/v2"))
		}
		if imp.Name != nil {
			local = imp.Name.Name
		}
		if p == "crypto/rand" || p == "math/rand" {
			add(imp, "%s", p)
		}
		packages[local] = p
	}
	not := forbidden()
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "go")
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && !ofSpawner(sel.X) {
				add(n, "go by a method Go")
			}
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			switch p := packages[id.Name]; {
			case p == "math/rand/v2" && !slices.Contains([]string{"ChaCha8", "Rand", "Source", "New"}, n.Sel.Name):
				add(n, "rand.%s", n.Sel.Name)
			case slices.Contains(not[p], n.Sel.Name):
				add(n, "%s.%s", path.Base(p), n.Sel.Name)
			}
		}
		return true
	})
	return faults, nil
}

// ofSpawner reports that an expression is a spawn.Spawner, by its name.
func ofSpawner(x ast.Expr) bool {
	name := ""
	switch x := x.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return name == "spawn" || name == "spawner"
}

// TestSeamsFinds: the test above can fail.
func TestSeamsFinds(t *testing.T) {
	const src = `package x
import ("time"; crand "crypto/rand"; "math/rand/v2"; "hash/maphash"; "sync"; "github.com/perchws/perch/internal/sock")
func f(wg *sync.WaitGroup, spawn any) {
	go f(nil, nil)
	wg.Go(func() {})
	spawn.Go(1, nil)
	_ = time.Now()
	_ = time.AfterFunc
	var _ time.Duration
	crand.Read(nil)
	_ = rand.IntN(3)
	var _ *rand.ChaCha8
	maphash.MakeSeed()
	sock.Recv(0, nil)
	sock.Pair()
}`
	faults, err := seams("x.go", src)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprint(f.line, " ", f.what))
	}
	want := []string{"2 crypto/rand", "4 go", "5 go by a method Go", "7 time.Now", "8 time.AfterFunc", "11 rand.IntN", "13 maphash.MakeSeed", "14 sock.Recv"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
