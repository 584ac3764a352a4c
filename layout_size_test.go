package perch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
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
	"..loop": 223, // the engine: its methods are in files by theme
}

// TestLayoutSizes holds the ceilings on functions and on the methods of a type.
func TestLayoutSizes(t *testing.T) {
	faults, err := sizes(os.DirFS("."), tallFuncs, manyMethods)
	reportFaults(t, faults, err)
}

// sizes returns the functions and types under root that are above a ceiling, and the
// exceptions that nothing needs.
func sizes(root fs.FS, tall map[string]string, many map[string]int) (faults []string, err error) {
	methods := map[string]int{}
	needed := map[string]bool{}
	err = eachFunc(root, func(fn function) {
		key := fn.dir + "." + fn.name
		if fn.receiver != "" {
			methods[fn.dir+"."+fn.receiver]++
		}
		lines, n := strings.Count(fn.source, "\n")+1, branches(fn.decl)
		if lines <= maxFuncLines && n <= maxBranches {
			return
		}
		if needed[key] = true; tall[key] == "" {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines and %d branches, %d and %d are the ceilings", fn.file, key, lines, n, maxFuncLines, maxBranches))
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
func branches(fn *ast.FuncDecl) (n int) {
	ast.Inspect(fn, func(node ast.Node) bool {
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

// TestLayoutOwner demands that every method of loop which only the loop's goroutine may
// call checks that first, and that every method of Conn asks whether it is at home. A
// method for any goroutine says so in its doc comment, and one that ends in Send leaves it
// to that.
func TestLayoutOwner(t *testing.T) {
	faults, seen, err := unowned(os.DirFS("."))
	reportFaults(t, faults, err)
	if seen < 50 {
		t.Errorf("only %d methods seen: not the root of the repository?", seen)
	}
}

// unowned returns the methods of loop and Conn that do not check, and how many it looked at.
func unowned(root fs.FS) (faults []string, seen int, err error) {
	err = eachFunc(root, func(fn function) {
		if fn.dir != "." || fn.receiver != "loop" && fn.receiver != "Conn" || len(fn.decl.Recv.List[0].Names) == 0 {
			return
		}
		seen++
		body, self := fn.decl.Body, fn.decl.Recv.List[0].Names[0].Name
		doc := strings.ToLower(strings.Join(strings.Fields(fn.decl.Doc.Text()), " "))
		if strings.Contains(doc, "any goroutine") || len(body.List) == 0 {
			return
		}
		first, whole := fn.text(body.List[0]), fn.text(body)
		var checks bool
		switch fn.receiver {
		case "loop":
			checks = first == self+".own.Check()" || strings.Contains(whole, self+".own.Claim()")
		case "Conn":
			checks = strings.Contains(first, self+".live()") || strings.Contains(first, self+".present()") ||
				strings.Contains(whole, ".home.Here()") || strings.Contains(whole, "return "+self+".Send(")
		}
		if !checks {
			faults = append(faults, fmt.Sprintf("%s: %s does not check its owner first", fn.file, fn.name))
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
		t.Run(fmt.Sprintf("%.40q", tt.src), func(t *testing.T) {
			faults, err := sizes(file(tt.src), tt.tall, tt.many)
			expectFaults(t, faults, err, tt.want)
		})
	}
	for src, want := range map[string]string{
		"func (l *loop) f() {\n\tl.own.Check()\n}\n":                           "",
		"// f is for any\n// goroutine.\nfunc (l *loop) f() {\n\tg()\n}\n":     "",
		"func (l *loop) f() {\n\tg()\n\tl.own.Check()\n}\n":                    "loop.f does not check",
		"func (c Conn) F() bool { return c.present() != nil }\n":               "",
		"func (c Conn) F() bool { return c.l.x }\n":                            "Conn.F does not check",
		"func (c Conn) F() {\n\ts := c.live()\n\tg(s)\n}\n":                    "",
		"func (r Ref) F() { r.l.x() }\n":                                       "",
		"func (c Conn) G() {\n\tg()\n\tif s := c.live(); s != nil {\n\t}\n}\n": "Conn.G does not check",
	} {
		t.Run(src, func(t *testing.T) {
			faults, _, err := unowned(file(src))
			expectFaults(t, faults, err, want)
		})
	}
}
