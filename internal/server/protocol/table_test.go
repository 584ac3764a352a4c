package protocol_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
)

// constants returns the string constants of a file of this repository whose names begin with prefix.
func constants(t *testing.T, file, prefix string) (values []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			v, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constants %s… in %s", prefix, file)
	}
	return values
}

// TestCodes: the table has every code of this package and of auth, once, with a sentence.
func TestCodes(t *testing.T) {
	declared := append(constants(t, "code.go", "Code"), constants(t, "../auth/errors.go", "Code")...)
	if !slices.Contains(declared, string(auth.CodeExpired)) {
		t.Fatal("the codes of auth were not found")
	}
	var listed []string
	for _, line := range protocol.Codes() {
		if slices.Contains(listed, string(line.Code)) {
			t.Errorf("%s is in the table twice", line.Code)
		}
		listed = append(listed, string(line.Code))
		if !regexp.MustCompile(`^[A-Z].*\.$`).MatchString(line.Meaning) {
			t.Errorf("%s: %q is no sentence", line.Code, line.Meaning)
		}
		if got := line.Code.Meaning(); got != line.Meaning {
			t.Errorf("%s: Meaning %q, in the table %q", line.Code, got, line.Meaning)
		}
		if !slices.Contains(declared, string(line.Code)) {
			t.Errorf("%s is in the table, but not a code", line.Code)
		}
	}
	for _, code := range declared {
		if !slices.Contains(listed, code) {
			t.Errorf("%s is not in the table", code)
		}
	}
	if got := protocol.Code("no such code").Meaning(); got != "" {
		t.Errorf("an unknown code means %q", got)
	}
}

// TestTypes: every type belongs to an endpoint, and endpoints have no other types.
func TestTypes(t *testing.T) {
	declared := constants(t, "type.go", "Type")
	known := make(map[string]bool)
	for _, e := range protocol.Endpoints() {
		for _, types := range [][]string{e.Accepts, e.Sends} {
			for i, typ := range types {
				known[typ] = true
				if !slices.Contains(declared, typ) || slices.Contains(types[:i], typ) {
					t.Errorf("%s: %q is twice in a list, or no constant", e.Path, typ)
				}
			}
		}
	}
	for _, typ := range declared {
		if !known[typ] {
			t.Errorf("no endpoint has %q", typ)
		}
	}
}
