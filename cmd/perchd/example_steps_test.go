package main

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// example is a block of the page that can be run: a dialogue of one or several clients.
type example struct {
	line  int
	steps []step
}

// step is one line of an example, with the lines that continue it.
//
//	ada$ websocat ws://127.0.0.1:8000/ws/chat   connects, as ada; or sets a variable, or shows how perchd is started
//	ada> {"username":"Ada"}                     a message that ada sends
//	ada< {"type":"pong","timestamp":"<time>"}   the next message that ada gets, whole
//	ada< (init, room_joined)                    types of the next messages that ada gets
//	ada< (closed 1008 too many errors)          the end of the connection
//	ada^C                                       ada ends without a close
//	# 100 others join general
type step struct {
	line int
	who  string
	verb string
	text string
}

const (
	verbShell  = "$"
	verbSay    = ">"
	verbHear   = "<"
	verbCut    = "^C"
	verbOthers = "#"
)

var stepForm = regexp.MustCompile(`^([a-z]*)(\$|>|<|\^C)(?: (.*))?$`)

func (e *example) add(t *testing.T, line int, l string) {
	t.Helper()
	last := len(e.steps) - 1
	switch m := stepForm.FindStringSubmatch(l); {
	case m != nil:
		e.steps = append(e.steps, step{line, m[1], m[2], m[3]})
	case strings.HasPrefix(l, "  ") && last >= 0 && (e.steps[last].verb == verbSay || e.steps[last].verb == verbHear):
		e.steps[last].text += strings.TrimSpace(l)
	case strings.HasPrefix(l, "# "):
		e.steps = append(e.steps, step{line, "", verbOthers, l[len("# "):]})
	default:
		t.Fatalf("line %d: %q is no step of an example", line, l)
	}
}

// A placeholder stands for a value that changes from run to run. <time> is a time and <n> a number, each time another
// one. Any other word stands for one value throughout an example, and no two words stand for the same value. Outside
// quotes the value is a number.
var placeholder = regexp.MustCompile(`<[a-z][a-z0-9_]*>`)

const (
	anyTime   = "<time>"
	anyNumber = "<n>"
)

// bindings are the values that the placeholders of an example stand for.
type bindings map[string]string

// fill puts values in place of placeholders.
func (b bindings) fill(t *testing.T, line int, text string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := b[name]
		if !ok {
			t.Fatalf("line %d: %s has no value yet", line, name)
		}
		return value
	})
}

// match compares a message with the text of the page, byte by byte, and notes the values of new placeholders. It
// returns the difference.
func (b bindings) match(want, got string) (wrong string) {
	var form strings.Builder
	var names []string
	form.WriteString("^")
	rest := 0
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		form.WriteString(regexp.QuoteMeta(want[rest:at[0]]))
		name := want[at[0]:at[1]]
		inside := strings.Count(want[:at[0]], `"`)%2 == 1 // no example has an escaped quote before one
		value, known := b[name]
		switch {
		case known:
			form.WriteString(regexp.QuoteMeta(value))
		case name == anyTime:
			form.WriteString(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
		case name == anyNumber || !inside:
			form.WriteString(`(-?\d+(?:\.\d+)?)`)
			names = append(names, name)
		default:
			form.WriteString(`([^"\\]+)`)
			names = append(names, name)
		}
		rest = at[1]
	}
	form.WriteString(regexp.QuoteMeta(want[rest:]) + "$")
	found := regexp.MustCompile(form.String()).FindStringSubmatch(got)
	if found == nil {
		return "another message"
	}
	for i, name := range names {
		if wrong := b.learn(name, found[i+1]); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (b bindings) learn(name, value string) (wrong string) {
	if name == anyNumber {
		return ""
	}
	if old, ok := b[name]; ok && old != value {
		return name + " is " + value + ", and was " + old
	}
	if _, err := strconv.ParseFloat(value, 64); err != nil { // numbers may be equal by chance
		for other, v := range b {
			if v == value && other != name {
				return name + " is " + other
			}
		}
	}
	b[name] = value
	return ""
}

// bare matches a placeholder where JSON has a number.
var bare = regexp.MustCompile(`:` + placeholder.String())

// message returns the JSON of a step; nil if it has none.
func (s step) message() (m map[string]any) {
	if s.verb != verbSay && s.verb != verbHear {
		return nil
	}
	_ = json.Unmarshal([]byte(bare.ReplaceAllString(s.text, ":0")), &m) // some endpoints take texts that are no JSON
	return m
}

// paths returns the endpoint that each client of the example talks to.
func (e *example) paths() map[string]string {
	paths := make(map[string]string)
	for _, s := range e.steps {
		if s.verb == verbShell && strings.Contains(s.text, "ws://") {
			_, rest, _ := strings.Cut(s.text, "ws://"+pageAddress)
			path, _, _ := strings.Cut(strings.Trim(rest, `"`), "?")
			paths[s.who] = pattern(path)
		}
	}
	return paths
}

// pattern is the route of a path.
func pattern(path string) string {
	switch last := path[strings.LastIndexByte(path, '/')+1:]; {
	case strings.HasPrefix(path, "/ws/room/"):
		return "/ws/room/{room_id}"
	case strings.Trim(last, "0123456789") == "":
		return "/ws/{client_id}"
	}
	return path
}
