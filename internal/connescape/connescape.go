// Package connescape finds values of type perch.Conn that leave their callback. A Conn is valid on
// its loop alone, in a callback: kept, or used on another goroutine, it panics when
// the program runs. A Ref may be kept, and goes anywhere.
//
// Reported are a Conn that is
//
//   - used in a go statement: as an argument, as the receiver, or captured by the
//     function;
//   - captured by a function that runs later, or elsewhere: given to Ref.Do (of
//     another connection, perhaps), time.AfterFunc, context.AfterFunc or the Go of a
//     WaitGroup or errgroup, stored, sent or returned;
//   - the type of a struct's field, of an element or a key of a map, slice or channel,
//     of a variable of a package, or an argument of a generic type;
//   - put into what holds anything: a sync.Map, a list, a context, an interface in a
//     field or an element, SetValue; or sent on a channel;
//   - returned.
//
// Where it is right all the same, because it is over before the callback is, a comment
// on the line says so: //perchvet:ok and the reason.
package connescape

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// Analyzer is for package analysis: see the package comment.
var Analyzer = &analysis.Analyzer{
	Name: "connescape",
	Doc:  "find perch.Conns that leave their callback: keep their Ref instead",
	URL:  "https://pkg.go.dev/github.com/perchws/perch",
	Run:  run,
}

const engine = "github.com/perchws/perch"

// accepted is how a comment begins that says why a line is right.
const accepted = "//perchvet:ok "

func run(pass *analysis.Pass) (any, error) {
	if strings.TrimSuffix(pass.Pkg.Path(), "_test") == engine && pass.Pkg.Name() == "perch" {
		return nil, nil // the engine itself
	}
	for _, f := range pass.Files {
		c := &checker{pass: pass, ok: make(map[int]bool)}
		for _, group := range f.Comments {
			for _, comment := range group.List {
				if len(comment.Text) > len(accepted) && strings.HasPrefix(comment.Text, accepted) {
					c.ok[pass.Fset.Position(comment.Pos()).Line] = true
				}
			}
		}
		ast.Inspect(f, c.node)
	}
	return nil, nil
}

// checker checks one file.
type checker struct {
	pass *analysis.Pass
	ok   map[int]bool // lines with a comment that accepts them
}

func (c *checker) report(n ast.Node, how string) {
	if !c.ok[c.pass.Fset.Position(n.Pos()).Line] {
		c.pass.Reportf(n.Pos(), "perch.Conn %s: it is valid inside a callback of its loop only; keep its Ref", how)
	}
}

// isConn reports that t is perch.Conn, or a pointer to one.
func isConn(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Conn" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == engine
}

// conn reports that the expression is a Conn.
func (c *checker) conn(e ast.Expr) bool {
	t := c.pass.TypesInfo.TypeOf(e)
	return t != nil && isConn(t)
}

// node looks at one node of a file.
func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StructType:
		for _, f := range n.Fields.List {
			c.typed(f.Type, "in a field of a struct")
		}
	case *ast.MapType:
		c.typed(n.Key, "as a key of a map")
		c.typed(n.Value, "in a map")
	case *ast.ArrayType:
		c.typed(n.Elt, "in a slice or an array")
	case *ast.ChanType:
		c.typed(n.Value, "in a channel")
	case *ast.IndexExpr:
		c.instance(n, n.Index)
	case *ast.IndexListExpr:
		c.instance(n, n.Indices...)
	case *ast.GenDecl:
		c.variables(n)
	case *ast.GoStmt:
		c.goes(n.Call)
	case *ast.CallExpr:
		c.call(n)
	case *ast.SendStmt:
		c.stored(n.Value, nil, "sent on a channel")
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			c.stored(e, nil, "returned")
		}
	case *ast.AssignStmt:
		for i, e := range n.Rhs {
			if len(n.Lhs) == len(n.Rhs) && c.outlives(n.Lhs[i]) {
				c.stored(e, n.Lhs[i], "stored")
			}
		}
	case *ast.CompositeLit:
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				c.element(n, kv.Key)
				e = kv.Value
			}
			c.element(n, e)
		}
	}
	return true
}

// typed reports a Conn as the type of what may be kept.
func (c *checker) typed(e ast.Expr, how string) {
	if c.conn(e) && c.pass.TypesInfo.Types[e].IsType() {
		c.report(e, how)
	}
}

// instance is about a generic type of Conns.
func (c *checker) instance(e ast.Expr, args ...ast.Expr) {
	if c.pass.TypesInfo.Types[e].IsType() {
		for _, a := range args {
			c.typed(a, "in a generic type")
		}
	}
}

// variables are those of the package.
func (c *checker) variables(n *ast.GenDecl) {
	for _, spec := range n.Specs {
		if spec, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.VAR {
			for _, name := range spec.Names {
				if v := c.pass.TypesInfo.Defs[name]; v != nil && v.Parent() == c.pass.Pkg.Scope() && isConn(v.Type()) {
					c.report(name, "in a variable of the package")
				}
			}
		}
	}
}

// outlives reports that what is assigned to may outlive the callback.
func (c *checker) outlives(to ast.Expr) bool {
	switch to := ast.Unparen(to).(type) {
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr:
		return true
	case *ast.Ident:
		v := c.pass.TypesInfo.ObjectOf(to)
		return v != nil && v.Parent() == c.pass.Pkg.Scope()
	}
	return false
}

// stored is about a value that is put somewhere: to, if that has a type. A
// place whose type is Conn itself was reported where it was declared.
func (c *checker) stored(e, to ast.Expr, how string) {
	if c.conn(e) {
		if to == nil || types.IsInterface(c.pass.TypesInfo.TypeOf(to)) {
			c.report(e, how)
		}
		return
	}
	c.function(e, how)
}

// element is about a part of a composite literal.
func (c *checker) element(of *ast.CompositeLit, e ast.Expr) {
	if !c.conn(e) {
		c.function(e, "stored")
		return
	}
	t := c.pass.TypesInfo.TypeOf(of)
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	switch t := t.Underlying().(type) {
	case *types.Struct:
		c.report(e, "stored")
	case *types.Map:
		if types.IsInterface(t.Elem()) || types.IsInterface(t.Key()) {
			c.report(e, "stored")
		}
	case *types.Slice:
		if types.IsInterface(t.Elem()) {
			c.report(e, "stored")
		}
	case *types.Array:
		if types.IsInterface(t.Elem()) {
			c.report(e, "stored")
		}
	}
}

// function reports what a function that leaves takes with it: a Conn that it
// captures, or whose method it is.
func (c *checker) function(e ast.Expr, how string) {
	switch f := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		if s := c.pass.TypesInfo.Selections[f]; s != nil && s.Kind() == types.MethodVal && isConn(s.Recv()) {
			c.report(f, "whose method is "+how)
		}
	case *ast.FuncLit:
		found := false // one is enough
		ast.Inspect(f.Body, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || found {
				return !found
			}
			v, ok := c.pass.TypesInfo.Uses[id].(*types.Var)
			if ok && !v.IsField() && isConn(v.Type()) && (v.Pos() < f.Pos() || v.Pos() > f.End()) {
				c.report(id, "captured by a function that is "+how)
				found = true
			}
			return true
		})
	}
}

// goes is about the call of a go statement.
func (c *checker) goes(call *ast.CallExpr) {
	c.function(call.Fun, "run on another goroutine")
	for _, a := range call.Args {
		if c.conn(a) {
			c.report(a, "given to another goroutine")
			continue
		}
		c.function(a, "given to another goroutine")
	}
}

// later are functions that call what they are given on another goroutine, or later.
var later = map[string]bool{
	"(" + engine + ".Ref).Do":                   true,
	"time.AfterFunc":                            true,
	"context.AfterFunc":                         true,
	"(*sync.WaitGroup).Go":                      true,
	"(*golang.org/x/sync/errgroup.Group).Go":    true,
	"(*golang.org/x/sync/errgroup.Group).TryGo": true,
}

// keepers are packages whose functions keep the values that they are given.
var keepers = map[string]bool{"sync": true, "sync/atomic": true, "container/list": true, "context": true, engine: true}

// call is about calls that keep what they are given.
func (c *checker) call(n *ast.CallExpr) {
	f, ok := typeutil.Callee(c.pass.TypesInfo, n).(*types.Func)
	if !ok || f.Pkg() == nil {
		return
	}
	runs, keeps := later[f.FullName()], keepers[f.Pkg().Path()]
	params := f.Signature().Params()
	for i, a := range n.Args {
		if runs {
			c.function(a, "run later")
		}
		if keeps && i < params.Len() && types.IsInterface(params.At(i).Type()) && c.conn(a) {
			c.report(a, "kept by "+f.Name())
		}
	}
}
