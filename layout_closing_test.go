package perch_test

import (
	"go/ast"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

// TestLayoutStates: the state of a slot is assigned in step, once, and nowhere else: invariant (d).
func TestLayoutStates(t *testing.T) {
	assigned, err := assignments(os.DirFS("."))
	if err != nil || !slices.Equal(assigned, []string{"loop.step"}) {
		t.Errorf("states are assigned in %q, %v; want loop.step alone, once", assigned, err)
	}
}

// assignments are the functions of the root that assign the state of a slot, each as often as it does.
func assignments(root fs.FS) (found []string, err error) {
	err = eachFunc(root, func(fn function) {
		if fn.dir != "." {
			return
		}
		ast.Inspect(fn.decl, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok {
				return true
			}
			for _, left := range assign.Lhs {
				if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == "state" {
					found = append(found, fn.name)
				}
			}
			return true
		})
	})
	return found, err
}

// TestLayoutStatesFinds plants assignments.
func TestLayoutStatesFinds(t *testing.T) {
	tree := fstest.MapFS{"a.go": {Data: []byte(`package perch
func (l *loop) a(s *slot) { if true { s.state = 1 } }
func b(s *slot) { s.fd, s.state = 2, 3 }
func c(s *slot) { state := s.state; _ = state }
`)}}
	got, err := assignments(tree)
	if want := []string{"loop.a", "b"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
