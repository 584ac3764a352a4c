package conformance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files with what is observed")

func TestMain(m *testing.M) { wstest.Main(m) }

// golden is a file of results, a line per case: id, description, observation.
type golden struct {
	path string
	want map[string]string

	mu  sync.Mutex
	got map[string]string
}

func openGolden(t *testing.T, path string) *golden {
	t.Helper()
	g := &golden{path: path, want: map[string]string{}, got: map[string]string{}}
	b, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		id, _, _ := strings.Cut(line, " | ")
		g.want[id] = strings.TrimSuffix(line, "\n")
	}
	return g
}

// check compares one result with its line.
func (g *golden) check(t *testing.T, c testCase, observed string) {
	t.Helper()
	line := fmt.Sprintf("%s | %s | %s", c.id, c.desc, observed)
	g.mu.Lock()
	g.got[c.id] = line
	g.mu.Unlock()
	if want := g.want[c.id]; !*update && line != want {
		t.Errorf("differs from %s:\n got %q\nwant %q", g.path, line, want)
	}
}

// done demands a line for each case and no line more, and rewrites the file under
// -update if all cases ran.
func (g *golden) done(t *testing.T, cases []testCase) {
	t.Helper()
	var b strings.Builder
	ids := make(map[string]bool)
	for _, c := range cases {
		if ids[c.id] {
			t.Errorf("two cases %s", c.id)
		}
		ids[c.id] = true
		if _, ok := g.want[c.id]; !ok && !*update {
			t.Errorf("%s: no case %s", g.path, c.id)
		}
		b.WriteString(g.got[c.id] + "\n")
	}
	for id := range g.want {
		if !ids[id] && !*update {
			t.Errorf("%s: case %s does not exist", g.path, id)
		}
	}
	if *update && len(g.got) == len(cases) {
		if err := os.WriteFile(g.path, []byte(b.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// patience is for cases that take milliseconds: a fault that a hundred of them
// wait for in vain shall not take minutes to show.
const patience = 5 * time.Second

// large reports that a case moves megabytes.
func large(c testCase) bool {
	return c.large || strings.HasPrefix(c.id, "9.") || strings.HasPrefix(c.id, "x2.3")
}

// A target starts what is to be tested, with this configuration of the engine's
// compression, and returns how a case gets at it.
type target func(t *testing.T, z perch.Compression) func(t testing.TB, c testCase) *peer

// runAll runs the cases of one role, each on a connection of its own, several at
// a time.
func runAll(t *testing.T, r role, path string, start target) {
	g := openGolden(t, path)
	cases := playedBy(r, table())
	runCases(t, g, cases, start)
	g.done(t, cases)
}

// runCases runs these.
func runCases(t *testing.T, g *golden, cases []testCase, start target) {
	connect := make(map[perch.Compression]func(t testing.TB, c testCase) *peer)
	for _, c := range cases {
		if z := c.engine(); connect[z] == nil {
			connect[z] = start(t, z)
		}
	}
	t.Run("case", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.id, func(t *testing.T) {
				t.Parallel()
				p := connect[c.engine()](t, c)
				if !large(c) {
					p.c.Timeout = patience
				}
				defer func() { g.check(t, c, p.observed()) }() // a failed case, too
				c.script(p)
			})
		}
	})
}

// TestTable counts the cases of the suite, so that none is lost from the table.
func TestTable(t *testing.T) {
	want := map[string]int{"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126}
	got := make(map[string]int)
	for _, c := range table() {
		family, _, _ := strings.Cut(c.id, ".")
		if !strings.HasPrefix(family, "x") && !strings.Contains(c.id, "-") {
			got[family]++
		}
	}
	for family, n := range want {
		if got[family] != n {
			t.Errorf("family %s: %d cases, want %d", family, got[family], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("families %v, want those of %v", got, want)
	}
}
