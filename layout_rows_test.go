package perch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestLayoutRows finds rows of the tables in layout_test.go that speak of packages which do not
// exist, and modules that nobody imports.
func TestLayoutRows(t *testing.T) {
	faults, err := emptyRows(os.DirFS("."), mayImport, testOnly, mayRequire)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

func emptyRows(root fs.FS, imports map[string][]string, tests []string, modules map[string][]string) (faults []string, err error) {
	here, imported := map[string]bool{}, map[string]bool{}
	err = eachGoFile(root, func(dir, name string, f *ast.File, _ *token.FileSet) {
		here[dir] = true
		for _, spec := range f.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil && !strings.HasSuffix(name, "_test.go") {
				imported[dir+" "+p] = true
			}
		}
	})
	for dir, allowed := range imports {
		for _, p := range append([]string{dir}, allowed...) {
			if p != all && !here[p] {
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
			if !imported[dir+" "+p] {
				faults = append(faults, fmt.Sprintf("mayRequire: %s does not import %s", dir, p))
			}
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults), err
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
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sentence, _ := strings.Cut(string(readme), "the engine's only dependencies are")
	sentence, _, _ = strings.Cut(sentence, ".\n")
	_, table, _ := strings.Cut(string(page), "## In the engine\n")
	table, _, _ = strings.Cut(table, "\n## ")
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
	imports := map[string][]string{}
	err = eachGoFile(root, func(dir, name string, f *ast.File, _ *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, spec := range f.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				imports[dir] = append(imports[dir], p)
			}
		}
	})
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
	want := []string{"row of cluster", "row of room", "cmd/a does not import example.com/b", "frame does not import example.com/c", "internal/wstest has no row"}
	if err != nil || len(faults) != len(want) {
		t.Errorf("%d faults %q, %v", len(faults), faults, err)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(faults, "\n"), w) {
			t.Errorf("no fault with %q in %q", w, faults)
		}
	}
}

// TestLayoutImportsDocumented holds the last table of docs/architecture.md to mayImport: it has a
// row for every package, with the packages that it may import. One row stands for the tests from
// outside.
func TestLayoutImportsDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range undocumented(string(doc), mayImport) {
		t.Error(f)
	}
}

// undocumented returns how the table of imports in a document differs from imports.
func undocumented(doc string, imports map[string][]string) (faults []string) {
	const outside = "internal/enginetest/*"
	name := strings.NewReplacer("`", "", "the root", ".", "the engine", ".", "any of ours", all, "–", "")
	_, table, _ := strings.Cut(doc, "\n## What may import what\n")
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 || !strings.HasPrefix(line, "| ") || cells[0] == "| package" {
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
		"", "## What may import what", "", "| package | what it is | may import |", "|---|---|---|",
		"| the root | it | `room`, `frame` |", "| `frame` | it | – |", "| `room` | it | `frame` |", "| `cmd/a` | it | any of ours |",
		"| `internal/enginetest/*` | them | – |",
	}
	if faults := undocumented(strings.Join(rows, "\n"), imports); len(faults) != 0 {
		t.Errorf("faults %q of a true table", faults)
	}
	for _, tt := range []struct {
		row       int
		is, fault string
	}{
		{5, "| the root | it | `room` |", "the row of ."},
		{6, "", "the row of frame"},
		{7, "| `room` | it | `frame`, the engine |", "the row of room"},
		{9, "| `internal/enginetest/*` | them | – |\n| `cluster` | it | – |", "no package cluster"},
	} {
		planted := slices.Clone(rows)
		planted[tt.row] = tt.is
		if faults := undocumented(strings.Join(planted, "\n"), imports); len(faults) != 1 || !strings.Contains(faults[0], tt.fault) {
			t.Errorf("with %q: faults %q, want one with %q", tt.is, faults, tt.fault)
		}
	}
}
