package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/chat"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// TestDocumentedTypes: the tables of an endpoint's section list exactly the types that it accepts and sends, and each
// of them is in an example.
func TestDocumentedTypes(t *testing.T) {
	p := readPage(t)
	said, heard := make(map[string]bool), make(map[string]bool)
	for _, s := range p {
		for _, e := range s.examples {
			for _, step := range e.steps {
				typ, _ := step.message()["type"].(string)
				if step.verb == verbSay {
					said[typ] = true
				} else {
					heard[typ] = true
				}
			}
		}
	}
	for _, e := range protocol.Endpoints() {
		s := p.section(t, e.Path)
		for _, side := range []struct {
			heading string
			types   []string
			seen    map[string]bool
		}{{clientSends, e.Accepts, said}, {serverSends, e.Sends, heard}} {
			var listed []string
			for _, r := range s.table(side.heading) {
				listed = append(listed, r.names()...)
			}
			types := slices.Sorted(slices.Values(side.types))
			slices.Sort(listed)
			if !slices.Equal(listed, types) {
				t.Errorf("%s, %s: the page has\n%q, the code\n%q", e.Path, side.heading, listed, types)
			}
			for _, typ := range types {
				if !side.seen[typ] {
					t.Errorf("%s, %s: %s is in no example", e.Path, side.heading, typ)
				}
			}
		}
	}
}

// TestDocumentedFields: the messages in the examples have types of their endpoint, and the tables describe every
// field of them.
func TestDocumentedFields(t *testing.T) {
	p := readPage(t)
	endpoints := make(map[string]protocol.Endpoint)
	for _, e := range protocol.Endpoints() {
		endpoints[e.Path] = e
	}
	for _, s := range p {
		for _, e := range s.examples {
			paths := e.paths()
			for _, step := range e.steps {
				message, at := step.message(), endpoints[paths[step.who]]
				if message == nil || at.Path == "" {
					continue
				}
				heading, known := serverSends, at.Sends
				if step.verb == verbSay {
					heading, known = clientSends, at.Accepts
				}
				typ, _ := message["type"].(string)
				switch {
				case step.verb == verbSay && typ == "" && at.Any:
					continue
				case slices.Contains(known, typ), typ == "":
				case step.verb == verbSay: // any message, or one whose answer the example shows
					continue
				default:
					t.Errorf("line %d: %s does not send %s", step.line, at.Path, typ)
				}
				text := p.about(t, at.Path, heading, typ)
				for field := range fields(message) {
					if field != "type" && field != "id" && !regexp.MustCompile(`\b`+field+`\b`).MatchString(text) {
						t.Errorf("line %d: the tables do not tell of %s in %q of %s", step.line, field, typ, at.Path)
					}
				}
			}
		}
	}
}

var asIn = regexp.MustCompile("as in `([a-z_]+)`")

// about returns the text of the page about a type at an endpoint, with the places that this text refers to.
func (p page) about(t *testing.T, path, heading, typ string) string {
	t.Helper()
	text := p.section(t, path).about(heading, typ) + p.section(t, sharedPart).about(heading, typ)
	for _, other := range asIn.FindAllStringSubmatch(text, -1) {
		text += p.section(t, path).about(heading, other[1])
	}
	if strings.Contains(text, "as in [the chat]") {
		text += p.about(t, "/ws/chat", heading, typ)
	}
	return text
}

// fields returns the names in a message, at every level except where clients choose the names.
func fields(v any) map[string]bool {
	names := make(map[string]bool)
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			names[name] = true
			if _, byID := value.(map[string]any); name != "data" && !(name == "rooms" && byID) {
				maps.Copy(names, fields(value))
			}
		}
	case []any:
		for _, item := range v {
			maps.Copy(names, fields(item))
		}
	}
	return names
}

// TestDocumentedCodes: the table of error codes is that of the code. The page says where each of them comes from,
// except for errors of tokens, which may come from everywhere.
func TestDocumentedCodes(t *testing.T) {
	p := readPage(t)
	var errors string // the column
	for _, s := range p {
		for _, r := range s.table(clientSends) {
			errors += r.cells[3]
		}
	}
	var listed, want []string
	for _, r := range p.section(t, "Error codes").table("code") {
		listed = append(listed, strings.Join(r.cells, " | "))
	}
	for _, c := range protocol.Codes() {
		want = append(want, fmt.Sprintf("`%s` | %s", c.Code, c.Meaning))
		if code := "`" + string(c.Code) + "`"; !strings.HasPrefix(string(c.Code), "token_") && !strings.Contains(errors, code) {
			t.Errorf("no message has the error %s", code)
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("the table should be\n| code | meaning |\n|---|---|\n| %s |", strings.Join(want, " |\n| "))
	}
}

// TestDocumentedCloses: the section about close codes has every code and every reason.
func TestDocumentedCloses(t *testing.T) {
	s := readPage(t).section(t, "Close codes")
	var codes int
	for _, file := range []string{"../../frame/close.go", "../../errors.go", "../../internal/server/endpoint/close.go"} {
		f, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			name := spec.Names[0].Name
			lit, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || !strings.HasPrefix(name, "Close") && !strings.HasPrefix(name, "reason") {
				return true
			}
			value := lit.Value
			if lit.Kind == gotoken.STRING {
				value, _ = strconv.Unquote(value)
			} else {
				codes++
			}
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(value) + `\b`).MatchString(s.body) {
				t.Errorf("%s, %s, is not there", name, value)
			}
			return true
		})
	}
	if codes < 20 {
		t.Errorf("only %d codes found", codes)
	}
}

// TestDocumentedLimits: keys that the page names exist and have the default that it gives; limits without a key are
// those of the code.
func TestDocumentedLimits(t *testing.T) {
	c, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	defaults := make(map[string]string)
	for line := range strings.Lines(printed.String()) {
		line, _, _ = strings.Cut(line, "#")
		if key, value, ok := strings.Cut(line, " = "); ok {
			defaults[key] = strings.Trim(value, ` "`)
		}
	}
	kib := func(n int) string { return fmt.Sprintf("%d KiB", n>>10) }
	fixed := map[string]string{
		"depth of a message's objects and arrays": fmt.Sprintf("%d levels", protocol.MaxDepth),
		"members of an object":                    fmt.Sprintf("%d members", protocol.MaxMembers),
		"`type`":                                  fmt.Sprintf("%d bytes", protocol.MaxType),
		"`id`":                                    fmt.Sprintf("%d bytes", protocol.MaxScalar),
		"a token":                                 kib(auth.MaxToken),
		"content of a chat message":               kib(chat.MaxContent),
		"id of a room":                            fmt.Sprintf("%d bytes", room.MaxID),
		"password of a room":                      fmt.Sprintf("%d bytes", room.MaxPassword),
		"`data` of a session":                     kib(session.MaxData),
	}
	for _, r := range readPage(t).section(t, "Limits").table("limit") {
		what, most, key := r.cells[0], r.cells[1], strings.Trim(r.cells[2], "`")
		if want, ok := fixed[what]; ok {
			delete(fixed, what)
			if most != want {
				t.Errorf("%s: %s, in the code %s", what, most, want)
			}
		}
		most, _, _ = strings.Cut(most, ";") // the text behind it says when the value is another
		if value, ok := defaults[key]; key != "" && (!ok || most != spaced(value)) {
			t.Errorf("%s, key %s: %s, the default is %s", what, key, most, spaced(value))
		}
	}
	for what := range fixed {
		t.Errorf("no row %q in the table of limits", what)
	}
}

var unit = regexp.MustCompile(`(\d)([a-zA-Z])`)

// spaced formats a value of a key as people write it: 64 KiB, 5 min.
func spaced(value string) string {
	value = unit.ReplaceAllString(value, "$1 $2")
	if strings.HasSuffix(value, " m") {
		value += "in"
	}
	return value
}

// TestDocumentedLinks: the targets of the page's links to itself exist.
func TestDocumentedLinks(t *testing.T) {
	text, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, heading := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(string(text), -1)
	for _, l := range links {
		if !anchors[l[1]] {
			t.Errorf("nothing is at #%s", l[1])
		}
	}
	if len(links) < 10 {
		t.Errorf("only %d links found", len(links))
	}
}

// TestExampleFinds: an answer is compared as a whole, and placeholders mean something.
func TestExampleFinds(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		ok        bool
	}{
		{`{"a":1}`, `{"a":1}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`{"a":1}`, `{"a":10}`, false},
		{`{"at":"<time>"}`, `{"at":"2026-05-04T09:30:00.000Z"}`, true},
		{`{"at":"<time>"}`, `{"at":"2026-05-04T09:30:00Z"}`, false},
		{`{"at":"<time>"}`, `{"at":1777887000}`, false},
		{`{"n":<n>,"m":<n>}`, `{"n":1,"m":2.5}`, true},
		{`{"n":<n>}`, `{"n":"1"}`, false},
		{`{"n":<n>}`, `{"n":1,"m":2}`, false},
		{`{"a":"<x>","b":"<x>"}`, `{"a":"q","b":"q"}`, true},
		{`{"a":"<x>","b":"<x>"}`, `{"a":"q","b":"r"}`, false},
		{`{"a":"<x>","b":"<y>"}`, `{"a":"q","b":"r"}`, true},
		{`{"a":"<x>","b":"<y>"}`, `{"a":"q","b":"q"}`, false},
		{`{"a":"<known>"}`, `{"a":"k"}`, true},
		{`{"a":"<known>"}`, `{"a":"l"}`, false},
		{`{"a":"<x>"}`, `{"a":""}`, false},
		{`{"a":"<x>"}`, `{"a":"q","b":"r"}`, false},
	} {
		b := bindings{"<known>": "k"}
		if wrong := b.match(tt.want, tt.got); (wrong == "") != tt.ok {
			t.Errorf("%s and %s: %q, want equal: %v", tt.want, tt.got, wrong, tt.ok)
		}
	}
}
