package perch_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// A step of a walk in docs/architecture.md: 1. `loop.readable` (`read.go`): what it does.
var (
	walkStep = regexp.MustCompile("^([0-9]+)\\. `([A-Za-z.]+)` \\(`([^`]+)`\\): ")
	walkLine = regexp.MustCompile(`^[0-9]+\. `)
)

// TestLayoutWalks holds the section "Walks" to what there is: every function that it names is in the file that it
// names.
func TestLayoutWalks(t *testing.T) {
	faults, steps, err := walks(os.DirFS("."))
	reportFaults(t, faults, err)
	if steps < 15 {
		t.Errorf("%d steps are found: is the section there?", steps)
	}
}

// walks returns what is wrong with the walks, and how many steps they have.
func walks(root fs.FS) (faults []string, steps int, err error) {
	text, err := section(root, "docs/architecture.md", "Walks")
	if err != nil {
		return nil, 0, err
	}
	declared := map[string]bool{}
	err = eachFunc(root, func(fn function) { declared[fn.file+" "+fn.name] = true })
	next := 1
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "### ") {
			next = 1
		}
		if !walkLine.MatchString(line) {
			continue
		}
		steps++
		m := walkStep.FindStringSubmatch(line)
		switch {
		case m == nil:
			faults = append(faults, fmt.Sprintf("a step in another form: %.60q", line))
		case m[1] != strconv.Itoa(next):
			faults = append(faults, fmt.Sprintf("step %s of a walk is number %d", m[1], next))
		case !declared[m[3]+" "+m[2]]:
			faults = append(faults, fmt.Sprintf("%s is not in %s", m[2], m[3]))
		}
		next++
	}
	return faults, steps, err
}

// TestLayoutWalksFinds plants each fault.
func TestLayoutWalksFinds(t *testing.T) {
	doc := "# x\n\n## Walks\n\n### One\n\n1. `loop.a` (`a.go`): good\n2. `b` (`a.go`): good\n2. `b` (`a.go`): twice\n" +
		"\n### Two\n\n1. `loop.b` (`a.go`): a function of no type\n2. `b` (`b.go`): no file\n3. b: no form\n\n## Other\n\n1. not a walk\n"
	tree := fstest.MapFS{
		"docs/architecture.md": {Data: []byte(doc)},
		"a.go":                 {Data: []byte("package perch\nfunc (l *loop) a() {}\nfunc b() {}\n")},
	}
	faults, steps, err := walks(tree)
	expectFaults(t, faults, err, "step 2 of a walk is number 3", "loop.b is not in a.go", "b is not in b.go", "another form")
	if steps != 6 {
		t.Errorf("%d steps, want 6", steps)
	}
}
