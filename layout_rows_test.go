package perch_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestLayoutRows finds rows of the tables in layout_test.go that speak of packages which do not
// exist, and modules that nobody imports.
func TestLayoutRows(t *testing.T) {
	faults, err := emptyRows(os.DirFS("."), mayImport, testOnly, mayRequire)
	reportFaults(t, faults, err)
}

func emptyRows(root fs.FS, imports map[string][]string, tests []string, modules map[string][]string) (faults []string, err error) {
	imported, err := importsOf(root)
	for dir, allowed := range imports {
		for _, p := range append([]string{dir}, allowed...) {
			if _, here := imported[p]; p != all && !here {
				faults = append(faults, fmt.Sprintf("mayImport, row of %s: there is no package %s", dir, p))
			}
		}
	}
	for _, dir := range tests {
		if _, ok := imports[dir]; !ok {
			faults = append(faults, fmt.Sprintf("testOnly: %s has no row in mayImport", dir))
		}
	}
	for p, dirs := range modules {
		for _, dir := range dirs {
			if !slices.Contains(imported[dir], p) {
				faults = append(faults, fmt.Sprintf("mayRequire: %s does not import %s", dir, p))
			}
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults), err
}

// importsOf are the imports of non-test files, by directory; one that has only tests is there too.
func importsOf(root fs.FS) (map[string][]string, error) {
	imported := map[string][]string{}
	return imported, eachGoFile(root, func(f sourceFile) {
		of := imported[f.dir]
		if !f.forTest() {
			of = append(of, f.imports()...)
		}
		imported[f.dir] = of
	})
}

// TestLayoutDependencies holds README.md and docs/dependencies.md against what the engine, that
// is the root and all that it imports, imports of other modules: all of it is named in both, and
// nothing else.
func TestLayoutDependencies(t *testing.T) {
	want, err := dependencies(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	table, err := section(os.DirFS("."), "docs/dependencies.md", "In the engine")
	if err != nil {
		t.Fatal(err)
	}
	_, sentence, _ := strings.Cut(string(readme), "the engine's only dependencies are")
	sentence, _, _ = strings.Cut(sentence, ".\n")
	module := regexp.MustCompile("`([a-z]+\\.[a-z]+/[^`]+)`")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)`")
	for where, got := range map[string][][]string{
		"README.md":            module.FindAllStringSubmatch(sentence, -1),
		"docs/dependencies.md": row.FindAllStringSubmatch(table, -1),
	} {
		var names []string
		for _, m := range got {
			names = append(names, m[1])
		}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("%s names %q; the engine imports %q", where, names, want)
		}
	}
}

// dependencies are the modules that the root and the packages below it in the import graph import.
func dependencies(root fs.FS) ([]string, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	imports, err := importsOf(root)
	found, seen := map[string]bool{}, map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		for _, p := range imports[dir] {
			if ours, ok := strings.CutPrefix(p, module+"/"); ok {
				visit(ours)
			}
			for line := range strings.Lines(string(mod)) {
				f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
				if len(f) > 1 && strings.HasPrefix(f[1], "v") && (p == f[0] || strings.HasPrefix(p, f[0]+"/")) {
					found[f[0]] = true
				}
			}
		}
	}
	visit(".")
	return slices.Sorted(maps.Keys(found)), err
}

// TestLayoutRowsFinds plants rows that nothing needs.
func TestLayoutRowsFinds(t *testing.T) {
	tree := fstest.MapFS{
		"go.mod":          {Data: []byte("module " + module + "\nrequire (\n\texample.com/a v1\n\texample.com/b v1\n\texample.com/c v1\n)\n")},
		"a.go":            {Data: []byte("package perch\nimport _ \"example.com/a/b\"\nimport _ \"" + module + "/frame\"\n")},
		"frame/a.go":      {Data: []byte("package frame\nimport _ \"example.com/b\"\n")},
		"cmd/a/a.go":      {Data: []byte("package main\nimport _ \"example.com/c\"\n")},
		"frame/a_test.go": {Data: []byte("package frame\nimport _ \"example.com/c\"\n")},
	}
	if got, err := dependencies(tree); err != nil || !slices.Equal(got, []string{"example.com/a", "example.com/b"}) {
		t.Errorf("dependencies %q, %v", got, err)
	}
	faults, err := emptyRows(tree,
		map[string][]string{".": {"frame"}, "frame": {}, "cmd/a": {all}, "cluster": {}, "room": {"frame"}},
		[]string{"frame", "internal/wstest"},
		map[string][]string{"example.com/b": {"frame", "cmd/a"}, "example.com/c": {"frame"}})
	expectFaults(t, faults, err, "row of cluster", "row of room", "cmd/a does not import example.com/b",
		"frame does not import example.com/c", "internal/wstest has no row")
}

// TestLayoutImportsDocumented holds the last table of docs/architecture.md to mayImport: it has a
// row for every package, with the packages that it may import. One row stands for the tests from
// outside.
func TestLayoutImportsDocumented(t *testing.T) {
	table, err := section(os.DirFS("."), "docs/architecture.md", "What may import what")
	reportFaults(t, undocumented(table, mayImport), err)
}

// undocumented returns how a table of imports differs from imports.
func undocumented(table string, imports map[string][]string) (faults []string) {
	const outside = "internal/enginetest/*"
	name := strings.NewReplacer("`", "", "the root", ".", "the engine", ".", "any of ours", all, "–", "")
	rows := map[string][]string{}
	for row := range tableRows(table) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 {
			continue
		}
		var may []string
		for _, p := range strings.Split(name.Replace(strings.TrimSuffix(cells[2], " |")), ", ") {
			if p != "" {
				may = append(may, p)
			}
		}
		rows[name.Replace(strings.TrimPrefix(cells[0], "| "))] = may
	}
	for dir, may := range imports {
		if strings.HasPrefix(dir, strings.TrimSuffix(outside, "*")) && len(may) == 0 {
			dir = outside
		}
		row, ok := rows[dir]
		if may = slices.Sorted(slices.Values(may)); !ok || !slices.Equal(slices.Sorted(slices.Values(row)), may) {
			faults = append(faults, fmt.Sprintf("docs/architecture.md, what may import what: the row of %s has %q; it may import %q", dir, row, may))
		}
	}
	for dir := range rows {
		if _, ok := imports[dir]; !ok && dir != outside {
			faults = append(faults, fmt.Sprintf("docs/architecture.md, what may import what: there is no package %s", dir))
		}
	}
	slices.Sort(faults)
	return faults
}

// TestLayoutImportsDocumentedFinds plants rows that are not true.
func TestLayoutImportsDocumentedFinds(t *testing.T) {
	imports := map[string][]string{".": {"frame", "room"}, "frame": {}, "room": {"frame"}, "cmd/a": {all}, "internal/enginetest/tls": {}}
	rows := []string{
		"| package | what it is | may import |", "|---|---|---|",
		"| the root | it | `room`, `frame` |", "| `frame` | it | – |", "| `room` | it | `frame` |", "| `cmd/a` | it | any of ours |",
		"| `internal/enginetest/*` | them | – |",
	}
	expectFaults(t, undocumented(strings.Join(rows, "\n"), imports), nil)
	for _, tt := range []struct {
		row       int
		is, fault string
	}{
		{2, "| the root | it | `room` |", "the row of ."},
		{3, "", "the row of frame"},
		{4, "| `room` | it | `frame`, the engine |", "the row of room"},
		{6, "| `internal/enginetest/*` | them | – |\n| `cluster` | it | – |", "no package cluster"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			planted := slices.Clone(rows)
			planted[tt.row] = tt.is
			expectFaults(t, undocumented(strings.Join(planted, "\n"), imports), nil, tt.fault)
		})
	}
}
