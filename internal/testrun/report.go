package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// report prints what go test would print without -json, and keeps what was skipped.
type report struct {
	out     io.Writer
	outputs map[string][]string // by package and test, of those that have not ended
	order   map[string][]string // by package, its tests in the order in which they began
	skipped map[string][]string // by reason, the tests
}

func newReport(out io.Writer) *report {
	return &report{out: out, outputs: make(map[string][]string), order: make(map[string][]string), skipped: make(map[string][]string)}
}

// read reports every line until the end. A line that is no event is printed as
// it is.
func (r *report) read(events io.Reader) error {
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.event(e)
			} else {
				fmt.Fprintf(r.out, "%s", line)
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func (r *report) event(e event) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "run":
		r.order[e.Package] = append(r.order[e.Package], e.Test)
	case "output":
		r.output(e, name)
	case "pass":
		if e.Test != "" {
			delete(r.outputs, name)
		}
	case "skip":
		if e.Test != "" { // a package without tests is not skipped
			why := reason(r.outputs[name])
			r.skipped[why] = append(r.skipped[why], name)
			delete(r.outputs, name)
		}
	}
	switch {
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		r.printTests(e.Package, "") // those that had begun when their process ended
		delete(r.order, e.Package)
		r.print(name)
	case e.Action == "fail" && !strings.Contains(e.Test, "/"):
		r.printTests(e.Package, e.Test)
	}
}

// printTests prints what tests of a package have left, those of one with its subtests, or all.
func (r *report) printTests(pkg, only string) {
	for _, test := range r.order[pkg] {
		if only == "" || test == only || strings.HasPrefix(test, only+"/") {
			r.print(pkg + " " + test)
		}
	}
}

// output keeps what a test prints, for the case that it fails. Of a package it is printed when all is said
// about its tests, but for what only go test -v says.
func (r *report) output(e event, name string) {
	switch {
	case e.Test == "" && (e.Output == "PASS\n" || e.Output == "FAIL\n"):
	case strings.HasPrefix(e.Output, "=== "):
	default:
		r.outputs[name] = append(r.outputs[name], e.Output)
	}
}

// print prints a test's result, which comes last, and then what led to it.
func (r *report) print(name string) {
	lines := r.outputs[name]
	for _, text := range lines {
		if strings.HasPrefix(strings.TrimSpace(text), "--- ") {
			fmt.Fprint(r.out, text)
		}
	}
	for _, text := range lines {
		if !strings.HasPrefix(strings.TrimSpace(text), "--- ") {
			fmt.Fprint(r.out, text)
		}
	}
	delete(r.outputs, name)
}

var place = regexp.MustCompile(`^\s+[\w.-]+\.go:\d+: `)

// reason is what a test said when it skipped.
func reason(output []string) string {
	text := ""
	for _, line := range output {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "--- SKIP"):
		case place.MatchString(line):
			text = place.ReplaceAllString(line, "") // the last word counts
		default:
			text += " " + strings.TrimSpace(line)
		}
	}
	if text = strings.TrimSpace(text); text == "" {
		return "no reason given"
	}
	return strings.Join(strings.Fields(text), " ")
}

// end prints what was skipped, by reason.
func (r *report) end() {
	if len(r.skipped) == 0 {
		return
	}
	count := 0
	for _, tests := range r.skipped {
		count += len(tests)
	}
	fmt.Fprintf(r.out, "\n%d skipped:\n", count)
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		fmt.Fprintf(r.out, "  %s\n", why)
		tests := r.skipped[why]
		slices.Sort(tests)
		for _, test := range tests {
			fmt.Fprintf(r.out, "      %s\n", test)
		}
	}
}
