package perch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// closesDescriptors are the functions of the root that may close a descriptor of the kernel's, each with what it is.
// How sockets go to net/http and back is said in http_passage.go.
var closesDescriptors = map[string]string{
	"loop.reapOne":         "that of every connection with a slot",
	"loop.accepted":        "a socket for which there is no slot",
	"loop.refuseTakeover":  "a socket for which there is no slot",
	"loop.connected":       "a dialled socket that does not connect: the next address has another",
	"loop.closeListener":   "the loop's listener",
	"sharedListener.close": "the listener of all loops",
	"spares.lend":          "a spare descriptor",
	"openPassage":          "one end of a pair whose other end cannot be used",
	"Server.release":       "the loops' ends of the pairs, when no loop runs any more",
	"freeAddr":             "a listener that was opened to see whether it can be",
}

// TestLayoutDescriptors finds a close of a descriptor that the table does not know: invariant (d).
func TestLayoutDescriptors(t *testing.T) {
	faults, err := descriptors(os.DirFS("."), closesDescriptors)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// descriptors returns the functions of the root that close a descriptor and are not in known, and those in known that
// close none.
func descriptors(root fs.FS, known map[string]string) (faults []string, err error) {
	closes := map[string]bool{}
	err = eachGoFile(root, func(dir, name string, f *ast.File, _ *token.FileSet) {
		if dir != "." || strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			key := fn.Name.Name
			if recv := receiver(fn); recv != "" {
				key = recv + "." + key
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !closesDescriptor(call) {
					return true
				}
				if closes[key] = true; known[key] == "" {
					faults = append(faults, fmt.Sprintf("%s: %s closes a descriptor (%s)", name, key, types.ExprString(call)))
				}
				return true
			})
		}
	})
	for key := range known {
		if !closes[key] {
			faults = append(faults, key+" closes no descriptor, or is gone")
		}
	}
	return faults, err
}

// closesDescriptor reports a call of Close or Reset of a kernel, or of the packages below it.
func closesDescriptor(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Close" && f.Sel.Name != "Reset" {
		return false
	}
	of := types.ExprString(f.X)
	of = of[strings.LastIndex(of, ".")+1:]
	return slices.Contains([]string{"kernel", "k", "sock", "unix", "syscall"}, of)
}

// TestLayoutDescriptorsFinds plants each fault.
func TestLayoutDescriptorsFinds(t *testing.T) {
	tree := fstest.MapFS{"a.go": {Data: []byte(`package perch
func (l *loop) a() { l.kernel.Close(1) }
func (l *loop) b() { if true { l.kernel.Reset(1) } }
func c() { sock.Close(2) }
func d(k sock.Kernel) { defer k.Close(3) }
func (c *conn) e() { c.socket.Close() }
`)}}
	faults, err := descriptors(tree, map[string]string{"c": "known", "f": "gone"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"loop.a closes", "loop.b closes", "d closes", "f closes no descriptor"} {
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("faults %q, want one with %q", faults, want)
		}
	}
	if len(faults) != 4 {
		t.Errorf("faults %q, want 4", faults)
	}
}
