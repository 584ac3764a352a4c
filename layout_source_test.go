package perch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sourceFile is a Go file of this module.
type sourceFile struct {
	dir, name string // "." is the root; the name is a path from there
	src       []byte
	fset      *token.FileSet
	*ast.File
}

// forTest reports a file of tests.
func (f sourceFile) forTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// imports are the paths that a file imports.
func (f sourceFile) imports() (paths []string) {
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// eachGoFile parses the Go files of this module under root, tests too.
func eachGoFile(root fs.FS, visit func(f sourceFile)) error {
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.ParseComments)
		if err != nil {
			return err
		}
		visit(sourceFile{path.Dir(name), name, src, fset, f})
		return nil
	})
}

// skipDir skips a directory that is no part of the module.
func skipDir(root fs.FS, name string) error {
	if name == "." {
		return nil
	}
	if foreign(path.Base(name)) {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir // a module of its own: bench/peers
	}
	return nil
}

// foreign reports a directory with nothing that we have written for a reader.
func foreign(base string) bool {
	return strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "bin", "node_modules"}, base)
}

// function is a function or method of a file that is not for tests.
type function struct {
	dir, file string
	name      string // "Type.Method", or "Function"
	receiver  string // the type of a method, "" for a function
	decl      *ast.FuncDecl
	source    string // from func to the end, without the doc comment
}

// text is the source of a part of the function.
func (f function) text(part ast.Node) string {
	return f.source[part.Pos()-f.decl.Pos() : part.End()-f.decl.Pos()]
}

// eachFunc visits the functions of this module under root, but for those of tests.
func eachFunc(root fs.FS, visit func(fn function)) error {
	return eachGoFile(root, func(f sourceFile) {
		if f.forTest() {
			return
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				recv := receiver(fn)
				source := string(f.src[fn.Pos()-f.FileStart : fn.End()-f.FileStart])
				visit(function{f.dir, f.name, strings.TrimPrefix(recv+"."+fn.Name.Name, "."), recv, fn, source})
			}
		}
	})
}

// receiver is the name of a method's type, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// eachDocument reads the documents of this repository under root.
func eachDocument(root fs.FS, visit func(name, text string)) error {
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != "." && (foreign(base) || base == "report") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		visit(name, string(text))
		return err
	})
}

// section is what stands in a document below a heading of the second level.
func section(root fs.FS, document, heading string) (string, error) {
	text, err := fs.ReadFile(root, document)
	if err != nil {
		return "", err
	}
	_, below, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		return "", fmt.Errorf("%s has no section %q", document, heading)
	}
	below, _, _ = strings.Cut(below, "\n## ")
	return below, nil
}

// tableRows are the rows of the table in a text, without its head.
func tableRows(text string) iter.Seq[string] {
	return func(yield func(row string) bool) {
		head := true
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch {
			case !strings.HasPrefix(line, "|"):
			case head:
				head = !strings.HasPrefix(line, "|---")
			case !yield(line):
				return
			}
		}
	}
}

// reportFaults fails a test that has found faults, or could not look.
func reportFaults(t *testing.T, faults []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// expectFaults demands a fault for each of want, in this order, that has it as a part. An empty one stands for none.
func expectFaults(t *testing.T, faults []string, err error, want ...string) {
	t.Helper()
	want = slices.DeleteFunc(want, func(w string) bool { return w == "" })
	if err != nil || !slices.EqualFunc(faults, want, strings.Contains) {
		t.Errorf("faults %q, %v; want %q", faults, err, want)
	}
}
