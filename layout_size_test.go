package perch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Ceilings for what a reader must hold in the head at once. Test files may be longer in
// the function (a table of cases is one), not in the file.
const (
	maxFuncLines = 70
	maxBranches  = 20
	maxMethods   = 60
)

// tallFuncs may be above a ceiling, each with the reason.
var tallFuncs = map[string]string{
	"handshake.Parser.scan": "the state machine of a request's head, byte by byte",
	"frame.utf8Table":       "it makes the table of a machine: a row for each range of bytes",
	"..loop.feed":           "the path of every message: another call for each frame would be felt",
}

// manyMethods may have more methods, each with the number that it may not exceed.
var manyMethods = map[string]int{
	"..loop": 220, // the engine: its methods are in files by theme
}

// TestLayoutSizes holds the ceilings on functions and on the methods of a type.
func TestLayoutSizes(t *testing.T) {
	faults, err := sizes(os.DirFS("."), tallFuncs, manyMethods)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// sizes returns the functions and types under root that are above a ceiling, and the
// exceptions that nothing needs.
func sizes(root fs.FS, tall map[string]string, many map[string]int) (faults []string, err error) {
	methods := map[string]int{}
	needed := map[string]bool{}
	err = eachGoFile(root, func(dir, name string, f *ast.File, fset *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			key := dir + "." + fn.Name.Name
			if recv := receiver(fn); recv != "" {
				key = dir + "." + recv + "." + fn.Name.Name
				methods[dir+"."+recv]++
			}
			lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			n := branches(fn.Body)
			if lines <= maxFuncLines && n <= maxBranches {
				continue
			}
			if needed[key] = true; tall[key] == "" {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines and %d branches, %d and %d are the ceilings", name, key, lines, n, maxFuncLines, maxBranches))
			}
		}
	})
	for key, n := range methods {
		switch most := many[key]; {
		case n > max(maxMethods, most):
			faults = append(faults, fmt.Sprintf("type %s has %d methods, %d is the ceiling", key, n, max(maxMethods, most)))
		case n > maxMethods:
			needed[key] = true
		}
	}
	for key := range tall {
		if !needed[key] {
			faults = append(faults, "an exception that nothing needs: "+key)
		}
	}
	for key := range many {
		if !needed[key] {
			faults = append(faults, "an exception that nothing needs: "+key)
		}
	}
	slices.Sort(faults)
	return faults, err
}

// branches counts the ways through a function: each condition, loop, case, && and ||.
func branches(body ast.Node) (n int) {
	ast.Inspect(body, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		case *ast.CaseClause:
			if x.List != nil {
				n++
			}
		case *ast.CommClause:
			if x.Comm != nil {
				n++
			}
		}
		return true
	})
	return n
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

// eachGoFile parses the Go files of this module under root.
func eachGoFile(root fs.FS, visit func(dir, name string, f *ast.File, fset *token.FileSet)) error {
	ignore := func(string, ...any) {}
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return checkDir(root, name, d.Name(), ignore)
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
		visit(path.Dir(name), name, f, fset)
		return nil
	})
}

// TestLayoutOwner demands that every method of loop which only the loop's goroutine may
// call checks that first, and that every method of Conn asks whether it is at home. A
// method for any goroutine says so in its doc comment, and one that ends in Send leaves it
// to that.
func TestLayoutOwner(t *testing.T) {
	faults, seen, err := unowned(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d methods seen: not the root of the repository?", seen)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// unowned returns the methods of loop and Conn that do not check, and how many it looked at.
func unowned(root fs.FS) (faults []string, seen int, err error) {
	err = eachGoFile(root, func(dir, name string, f *ast.File, fset *token.FileSet) {
		if dir != "." || strings.HasSuffix(name, "_test.go") {
			return
		}
		src, _ := fs.ReadFile(root, name)
		text := func(n ast.Node) string {
			return string(src[fset.Position(n.Pos()).Offset:fset.Position(n.End()).Offset])
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || len(fn.Recv.List[0].Names) == 0 {
				continue
			}
			recv, self := receiver(fn), fn.Recv.List[0].Names[0].Name
			if recv != "loop" && recv != "Conn" {
				continue
			}
			seen++
			doc := strings.ToLower(strings.Join(strings.Fields(fn.Doc.Text()), " "))
			if strings.Contains(doc, "any goroutine") || len(fn.Body.List) == 0 {
				continue
			}
			first := text(fn.Body.List[0])
			if recv == "loop" && (first == self+".own.Check()" || strings.Contains(text(fn.Body), self+".own.Claim()")) {
				continue
			}
			if recv == "Conn" && (strings.Contains(first, self+".live()") || strings.Contains(first, self+".present()") ||
				strings.Contains(text(fn.Body), ".home.Here()") || strings.Contains(text(fn.Body), "return "+self+".Send(")) {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s: %s.%s does not check its owner first", name, recv, fn.Name.Name))
		}
	})
	return faults, seen, err
}

// TestLayoutSizesFinds plants each fault: a check that cannot fail checks nothing.
func TestLayoutSizesFinds(t *testing.T) {
	file := func(src string) fstest.MapFS { return fstest.MapFS{"a.go": {Data: []byte("package perch\n" + src)}} }
	long := "func f() {\n" + strings.Repeat("\tg()\n", maxFuncLines) + "}\n"
	wide := "func (l *T[K]) f() {\n" + strings.Repeat("\tif x { g() }\n", maxBranches+1) + "}\n"
	many := ""
	for i := range maxMethods + 1 {
		many += fmt.Sprintf("func (t T) f%d() {}\n", i)
	}
	for _, tt := range []struct {
		src  string
		tall map[string]string
		many map[string]int
		want string // part of the one fault; "" means none
	}{
		{"func f() {}\n", nil, nil, ""},
		{long, nil, nil, "..f has"},
		{long, map[string]string{"..f": "a table"}, nil, ""},
		{wide, nil, nil, "..T.f has"},
		{many, nil, nil, "methods"},
		{many, nil, map[string]int{"..T": maxMethods + 1}, ""},
		{"", map[string]string{"..f": "gone"}, nil, "nothing needs"},
		{"", nil, map[string]int{"..T": 99}, "nothing needs"},
	} {
		faults, err := sizes(file(tt.src), tt.tall, tt.many)
		if err != nil {
			t.Fatal(err)
		}
		if tt.want == "" && len(faults) != 0 || tt.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], tt.want)) {
			t.Errorf("%.40q: faults %q, want %q", tt.src, faults, tt.want)
		}
	}
	for src, want := range map[string]int{
		"func (l *loop) f() {\n\tl.own.Check()\n}\n":                           0,
		"// f is for any\n// goroutine.\nfunc (l *loop) f() {\n\tg()\n}\n":     0,
		"func (l *loop) f() {\n\tg()\n\tl.own.Check()\n}\n":                    1,
		"func (c Conn) F() bool { return c.present() != nil }\n":               0,
		"func (c Conn) F() bool { return c.l.x }\n":                            1,
		"func (c Conn) F() {\n\ts := c.live()\n\tg(s)\n}\n":                    0,
		"func (r Ref) F() { r.l.x() }\n":                                       0,
		"func (c Conn) G() {\n\tg()\n\tif s := c.live(); s != nil {\n\t}\n}\n": 1,
	} {
		faults, _, err := unowned(file(src))
		if err != nil || len(faults) != want {
			t.Errorf("%q: faults %q, %v, want %d", src, faults, err, want)
		}
	}
}
