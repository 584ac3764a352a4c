//go:build linux

package perch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/owner"
)

// TestWritesInOnePlace: in the engine's source only socketWriter sends, and the functions that use it are those that
// invariant (b) names. This is the half of it that no run can show.
func TestWritesInOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	sends := regexp.MustCompile(`\b(kernel|sock|System\{\})\.Send(Vector)?\(|\bunix\.(Write|Writev|Send\w*)\(`)
	asks := regexp.MustCompile(`\bl\.(writer\(|sockets\.)`)
	var sending, asking []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			body := src[fset.Position(fn.Pos()).Offset:fset.Position(fn.End()).Offset]
			if sends.Match(body) {
				sending = append(sending, name+" "+fn.Name.Name)
			}
			if asks.Match(body) {
				asking = append(asking, fn.Name.Name)
			}
		}
	}
	if want := []string{"write.go Send", "write.go SendVector"}; !slices.Equal(sending, want) {
		t.Errorf("%q send, want %q", sending, want)
	}
	slices.Sort(asking)
	want := []string{"flush", "flushCork", "refuseTakeover", "sealSome", "sendRecords", "speak", "writer"}
	if !slices.Equal(asking, want) {
		t.Errorf("%q ask for the writer, want %q", asking, want)
	}
}

// TestMayWrite: the other half, which race builds assert.
func TestMayWrite(t *testing.T) {
	for _, tt := range []struct {
		name    string
		doing   doing
		current uint32 // whose callback runs
		ok      bool   // may connection 1 be written to?
	}{
		{"its own event", doing{phaseEvents, 1}, noSlot, true},
		{"in its own callback, with a full cork", doing{phaseEvents, 1}, 1, true},
		{"another one's event", doing{phaseEvents, 2}, noSlot, false},
		{"in a callback of another one", doing{phaseEvents, 1}, 2, false},
		{"its own post", doing{phaseMailbox, 1}, noSlot, true},
		{"another one's post", doing{phaseMailbox, 2}, noSlot, false},
		{"its turn of the sweep", doing{phaseSweep, 1}, noSlot, true},
		{"the sweep, in general", doing{phaseSweep, noSlot}, noSlot, false},
		{"the flush", doing{phaseFlush, noSlot}, noSlot, true},
		{"a callback in the flush", doing{phaseFlush, noSlot}, 2, false},
		{"reap", doing{phaseReap, noSlot}, noSlot, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			panicked := func() (p bool) {
				defer func() { p = recover() != nil }()
				tt.doing.mayWrite(1, tt.current)
				return false
			}()
			if want := owner.Enabled && !tt.ok; panicked != want {
				t.Errorf("panics: %t, want %t", panicked, want)
			}
		})
	}
}

// TestDoingNested: a flush within the mailbox goes back to the connection that was being acted on.
func TestDoingNested(t *testing.T) {
	d := doing{slot: noSlot}
	d.enter(phaseMailbox)
	d.on(1)
	before := d.enter(phaseFlush)
	d.leave(before)
	within := d.instead(2)
	if want := (doing{phaseMailbox, 2}); owner.Enabled && d != want {
		t.Errorf("doing %v, want %v", d, want)
	}
	d.leave(within)
	if want := (doing{phaseMailbox, 1}); owner.Enabled && d != want {
		t.Errorf("doing %v, want %v", d, want)
	}
}
