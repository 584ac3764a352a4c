//go:build linux

package perch

import (
	"os"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/closing"
)

// TestTraceDocumented: docs/closing.md has every name, and no other.
func TestTraceDocumented(t *testing.T) {
	b, err := os.ReadFile("docs/closing.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for s := range closing.States {
		want["States "+s.String()] = true
	}
	for e := range closing.Notes {
		want["Events "+e.String()] = true
	}
	for c := closing.None + 1; c < closing.Causes; c++ {
		want["Causes "+c.String()] = true
	}
	section := ""
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		cell, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(cell, "`")
		if key := section + " " + name; !want[key] {
			t.Errorf("docs/closing.md explains what there is not, or twice: %s", key)
		} else {
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("docs/closing.md does not explain %s", key)
	}
}

// TestTraceRefusals: the kinds of refusals are causes, in the same order.
func TestTraceRefusals(t *testing.T) {
	for kind := range refusalKinds {
		w := why{refusal: &refused{kind: kind, status: 418}}
		if cause, n := w.told(); cause.String() != "refused_"+kind.String() || n != 418 {
			t.Errorf("%v is %v, %d", kind, cause, n)
		}
	}
}
