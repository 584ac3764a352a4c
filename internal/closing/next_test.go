package closing

import (
	"bytes"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/next.golden anew")

// named are the names of the bits that are set.
func named[B Facts | Action](set B, names []string) string {
	var all []string
	for i, name := range names {
		if set>>i&1 != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// outcome is what Next returns.
type outcome struct {
	to State
	do Action
}

func (o outcome) String() string {
	if o.do&Illegal != 0 {
		return "illegal"
	}
	return strings.TrimSpace(fmt.Sprintf("%-11s %s", o.to, named(o.do, actionNames[:])))
}

func next(s State, e Event, f Facts) outcome {
	to, do := Next(s, e, f)
	return outcome{to, do}
}

// always reports that an action follows whatever the facts are.
func always(s State, e Event, do Action) bool {
	for f := Facts(0); ; f++ {
		if next(s, e, f).do&do == 0 {
			return false
		}
		if f == 1<<facts-1 {
			return true
		}
	}
}

// branch writes one line for each combination of the facts that matter: known holds those that
// are decided, is their values.
func branch(b *bytes.Buffer, s State, e Event, known, is Facts) {
	free := ^known & (1<<facts - 1)
	first := next(s, e, is)
	for f := Facts(0); ; f = (f - free) & free { // all subsets of what is free
		if next(s, e, is|f) != first {
			break
		}
		if f == free {
			conditions := make([]string, 0, facts)
			for i, name := range factNames {
				if known>>i&1 != 0 && is>>i&1 == 0 {
					name = "no " + name
				}
				if known>>i&1 != 0 {
					conditions = append(conditions, name)
				}
			}
			fmt.Fprintf(b, "%-10s  %-19s  %-41s  %s\n", s, e, strings.Join(conditions, ", "), first)
			return
		}
	}
	fact := decisive(s, e, known, is)
	branch(b, s, e, known|fact, is|fact)
	branch(b, s, e, known|fact, is)
}

// decisive is the fact to look at next: the one that changes the outcome for most values of the others.
func decisive(s State, e Event, known, is Facts) (best Facts) {
	free, most := ^known&(1<<facts-1), 0
	for i := range facts {
		fact, differ := Facts(1<<i), 0
		if free&fact == 0 {
			continue
		}
		rest := free &^ fact
		for f := Facts(0); ; f = (f - rest) & rest {
			if next(s, e, is|f) != next(s, e, is|f|fact) {
				differ++
			}
			if f == rest {
				break
			}
		}
		if differ > most {
			best, most = fact, differ
		}
	}
	return best
}

// TestGolden: every input of the table has the outcome that a person has read and agreed to.
func TestGolden(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# What Next says of every state, event and combination of facts. A fact that is not named does not matter.\n")
	b.WriteString("# After a change read the difference: go test ./internal/closing -run Golden -update\n")
	for s := range States {
		fmt.Fprintf(&b, "\n%-10s  %-19s  %-41s  %-11s %s\n", "# state", "event", "facts", "state then", "to do")
		var illegal []string
		for e := range Events {
			if always(s, e, Illegal) {
				illegal = append(illegal, e.String())
				continue
			}
			branch(&b, s, e, 0, 0)
		}
		for len(illegal) > 0 {
			line := fmt.Sprintf("%-10s  cannot happen:", s)
			for len(illegal) > 0 && len(line)+len(illegal[0]) < 118 {
				line += " " + illegal[0]
				illegal = illegal[1:]
			}
			fmt.Fprintln(&b, line)
		}
	}
	text := b.Bytes()
	lines := bytes.Split(text, []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " ")
	}
	text = bytes.Join(lines, []byte("\n"))
	const file = "testdata/next.golden"
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(text, want) {
		return
	}
	old := bytes.Split(want, []byte("\n"))
	for i, line := range lines {
		if i >= len(old) || !bytes.Equal(line, old[i]) {
			t.Fatalf("line %d of %s is now\n\t%s", i+1, file, line)
		}
	}
	t.Fatalf("%s has %d lines, now there are %d", file, len(old), len(lines))
}

// TestRules: every rule decides something, and no two that could both match are out of order.
func TestRules(t *testing.T) {
	for n, r := range rules {
		for left := r.in; left != 0; left &= left - 1 {
			s := State(bits.TrailingZeros16(uint16(left)))
			want := outcome{r.to, r.do}
			if r.to == stay {
				want.to = s
			}
			if at := firstMatch(s, r.on, r.yes); at != n && next(s, r.on, r.yes) != want && r.in == 1<<s {
				t.Errorf("rule %d (%v, %v) never holds: rule %d is before it", n, s, r.on, at)
			}
			if r.on >= Events || r.to > stay {
				t.Errorf("rule %d: event %d, state %d", n, r.on, r.to)
			}
			if r.to != stay && r.to != Free && s == Free && r.do != 0 {
				t.Errorf("rule %d: a connection begins with an action", n)
			}
			if (r.to == Closed) != (r.do&Reap != 0) {
				t.Errorf("rule %d (%v, %v): closed without being reaped, or reaped without", n, s, r.on)
			}
			if r.do&Reset != 0 && r.to != Closed {
				t.Errorf("rule %d: a RST without an end", n)
			}
		}
	}
}

// firstMatch is the first rule for these.
func firstMatch(s State, e Event, f Facts) int {
	for n, r := range rules {
		if r.in>>s&1 != 0 && r.on == e && f&r.yes == r.yes && f&r.no == 0 {
			return n
		}
	}
	return -1
}

// TestPredicates: the predicates say what the table does.
func TestPredicates(t *testing.T) {
	for s := range States {
		takes := func(events ...Event) bool {
			for _, e := range events {
				if next(s, e, 0).do&Illegal == 0 {
					return true
				}
			}
			return false
		}
		if got := takes(EndOfInput, InputDiscarded); got != s.Reads() {
			t.Errorf("%v: the end of the input is legal: %v, Reads: %v", s, got, s.Reads())
		}
		if got := takes(CloseReceived); got != s.Parses() {
			t.Errorf("%v: a close frame is legal: %v, Parses: %v", s, got, s.Parses())
		}
		if got := takes(OutputSent); got != s.Finishing() {
			t.Errorf("%v: the end of the output is legal: %v, Finishing: %v", s, got, s.Finishing())
		}
		if got := takes(Timeout); got == s.Ended() {
			t.Errorf("%v: has a timeout: %v, Ended: %v", s, got, s.Ended())
		}
		if got := s.Opening() || s == Open || s.Ending(); got == s.Ended() {
			t.Errorf("%v: is live: %v, Ended: %v", s, got, s.Ended())
		}
	}
}

// TestEverythingEnds: from every live state a connection whose peer is silent comes to its end, by
// timeouts alone, in a few steps; and every event that ends it at once does.
func TestEverythingEnds(t *testing.T) {
	for s := range States {
		if s.Ended() {
			continue
		}
		for f := Facts(0); f < 1<<facts-1; f++ {
			at := s
			for n := 0; at != Closed; n++ {
				if n == 3 {
					t.Fatalf("%v with %s: %v after %d timeouts", s, named(f, factNames[:]), at, n)
				}
				at, _ = Next(at, Timeout, f)
			}
			for _, e := range []Event{Broken, Aborted} {
				if to, _ := Next(s, e, f); to != Closed {
					t.Errorf("%v, %v: %v", s, e, to)
				}
			}
		}
	}
}

// TestIllegal: what cannot happen ends a connection that lives, and does nothing to one that has ended.
func TestIllegal(t *testing.T) {
	for s := range States + 1 {
		for e := range Notes {
			got := next(s, e, 0)
			if got.do&Illegal == 0 {
				continue
			}
			want := outcome{Closed, Illegal | Reset | Reap}
			if s.Ended() {
				want = outcome{s, Illegal}
			}
			if got != want {
				t.Errorf("%v, %v: %v %s", s, e, got.to, named(got.do, actionNames[:]))
			}
		}
	}
	if next(Free, Paused, 0).do != Illegal || next(Open, CloseCalled, 0).do&Illegal != 0 {
		t.Error("what is for the journal alone is an event, or Close of an open connection is not")
	}
}

// TestNames: every name is there, once.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	check := func(kind, name string) {
		if name == "" || name == "unknown" || seen[kind+name] {
			t.Errorf("%s: name %q", kind, name)
		}
		seen[kind+name] = true
	}
	for s := range States {
		check("state", s.String())
	}
	for e := range Notes {
		check("event", e.String())
	}
	for c := None + 1; c < Causes; c++ {
		check("cause", c.String())
	}
	if States.String() != "unknown" || Notes.String() != "unknown" || Causes.String() != "unknown" {
		t.Error("what is no state, event or cause has a name")
	}
}
