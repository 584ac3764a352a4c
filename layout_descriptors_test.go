package perch_test

import (
	"fmt"
	"go/ast"
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
	reportFaults(t, faults, err)
}

// descriptors returns the functions of the root that close a descriptor and are not in known, and those in known that
// close none.
func descriptors(root fs.FS, known map[string]string) (faults []string, err error) {
	closes := map[string]bool{}
	err = eachFunc(root, func(fn function) {
		if fn.dir != "." {
			return
		}
		ast.Inspect(fn.decl, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !closesDescriptor(call) {
				return true
			}
			if closes[fn.name] = true; known[fn.name] == "" {
				faults = append(faults, fmt.Sprintf("%s: %s closes a descriptor (%s)", fn.file, fn.name, types.ExprString(call)))
			}
			return true
		})
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
	expectFaults(t, faults, err, "loop.a closes", "loop.b closes", "d closes", "f closes no descriptor")
}
