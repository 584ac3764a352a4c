package plot

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// elements parses an SVG, which must be valid XML, and counts its elements by
// class and its texts.
func elements(t *testing.T, svg string) (classes map[string]int, texts []string) {
	t.Helper()
	classes = make(map[string]int)
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.StartElement:
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					classes[a.Value]++
				}
			}
		case xml.CharData:
			texts = append(texts, string(e))
		}
	}
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(svg, bad) {
			t.Errorf("%s in the picture", bad)
		}
	}
	if !strings.Contains(svg, `role="img"`) || strings.Count(svg, "<title") != 1 || strings.Count(svg, "<desc") != 1 {
		t.Error("no role, title or description")
	}
	return classes, texts
}

// want demands texts in a picture.
func want(t *testing.T, texts []string, all ...string) {
	t.Helper()
	for _, s := range all {
		if !slices.Contains(texts, s) {
			t.Errorf("the picture does not say %q: %q", s, texts)
		}
	}
}

var head = Head{ID: "x", Title: "A <title> & more", Desc: `what "it" shows`, Axis: "bytes; shorter is better"}

func TestBars(t *testing.T) {
	p := Bars{Head: head, Rows: []Bar{
		{"ours & <co>", "Go", Ours, 10, 8, 12, "10 k", "8–12 k, 5×"},
		{"peer", "Python", Peer, 5, 5, 5, "5 k", "5–5 k, 1×"},
		{"wire", "C", Limit, 11, 10, 13, "11 k", "10–13 k, 5×"},
		{"negative", "Go", Peer, -3, -9, 2, "-3", "-9–2, 3×"},
	}}
	for _, alone := range []bool{false, true} {
		svg := p.SVG(alone)
		classes, texts := elements(t, svg)
		want(t, texts, "ours & <co>", "Python", "10 k", "8–12 k, 5×", "wire", head.Axis, head.Title, head.Desc)
		if classes["bar-ours"] != 1 || classes["bar-peer"] != 2 || classes["bar-limit"] != 1 || classes["name-ours"] != 1 {
			t.Errorf("marks %v", classes)
		}
		if classes["whisker"] != 3*3 { // where there is a range
			t.Errorf("%d parts of whiskers, want 9", classes["whisker"])
		}
		if got := strings.Contains(svg, "prefers-color-scheme"); got != alone {
			t.Errorf("colours of its own: %v, want %v", got, alone)
		}
	}
	// Bars begin at zero: half the value is half the length.
	svg := p.SVG(false)
	if long, short := width(t, svg, "bar-ours"), width(t, svg, "bar-peer"); math.Abs(long-2*short) > 0.1 {
		t.Errorf("bars of 10 and 5 are %v and %v long", long, short)
	}
}

// width is that of the first rectangle of a class.
func width(t *testing.T, svg, class string) (w float64) {
	t.Helper()
	_, rest, ok := strings.Cut(svg, `class="`+class+`"`)
	_, rest, ok2 := strings.Cut(rest, `width="`)
	if _, err := fmt.Sscanf(rest, "%g", &w); err != nil || !ok || !ok2 {
		t.Fatalf("no %s in the picture", class)
	}
	return w
}

func TestLatencies(t *testing.T) {
	p := Latencies{Head: head, Tick: func(v float64) string { return fmt.Sprintf("t%g", v) }, Rows: []LatencyRow{
		{"ours", "Go", Ours, 50, 200, 900, 150, 300, "200 µs", "150–300 µs, 5×"},
		{"slow", "Python", Peer, 500, 20_000, 90_000, 15_000, 30_000, "20 ms", "15–30 ms, 5×"},
	}}
	classes, texts := elements(t, p.SVG(true))
	want(t, texts, "ours", "slow", "200 µs", "15–30 ms, 5×", "t100", "t1000", "t10000", "median", "99 %", "99.9 %")
	if classes["dot-ours"] != 1 || classes["hollow ring-ours"] != 1 {
		t.Errorf("marks %v", classes)
	}
}

func TestCurves(t *testing.T) {
	text := func(v float64) string { return fmt.Sprintf("%g", v) }
	p := Curves{Head: head, XAxis: "connections", XTick: text, YTick: text}
	for i := range 12 { // ends that lie close together
		p.Lines = append(p.Lines, Curve{Name: fmt.Sprintf("server %d", i), Points: []Point{{10, 5, 4, 6, "five"}, {1000, 5 + 0.01*float64(i), 5, 5, "more"}}})
	}
	p.Lines[3].Kind = Ours
	for _, p.LogY = range []bool{false, true} {
		svg := p.SVG(false)
		_, texts := elements(t, svg)
		want(t, texts, "server 0", "server 11", "10", "1000", "connections", "bytes; shorter is better")
		var at []float64
		for part := range strings.SplitSeq(svg, "<text") {
			var x, y float64
			if _, err := fmt.Sscanf(part, ` x="%g" y="%g"`, &x, &y); err == nil && x > plotRight {
				at = append(at, y)
			}
		}
		slices.Sort(at)
		for i := range len(at) - 1 {
			if at[i+1]-at[i] < labelGap-0.02 {
				t.Errorf("labels at %v and %v overlap", at[i], at[i+1])
			}
		}
		if len(at) != 12 || at[11] > plotBottom+5 {
			t.Errorf("labels at %v, want 12 within the picture", at)
		}
	}
}

// TestCurveAlone: a curve that is alone has its values written beside it.
func TestCurveAlone(t *testing.T) {
	text := func(v float64) string { return "t" }
	line := Curve{Name: "perch", Kind: Ours, Points: []Point{{1000, 69, 54, 95, "69.0 µs"}, {100_000, 12, 11, 13, "12.0 µs"}}}
	p := Curves{Head: head, XTick: text, YTick: text, Lines: []Curve{line}}
	_, texts := elements(t, p.SVG(false))
	want(t, texts, "69.0 µs", "12.0 µs")
	p.Lines = append(p.Lines, line)
	if _, texts = elements(t, p.SVG(false)); slices.Contains(texts, "69.0 µs") {
		t.Error("values are written over the curves of others")
	}
}

// TestDegenerate draws what has no values, or senseless ones: it must be a valid
// picture all the same.
func TestDegenerate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	text := func(v float64) string { return "t" }
	for _, p := range []interface{ SVG(bool) string }{
		Bars{Head: head}, Latencies{Head: head, Tick: text}, Curves{Head: head, XTick: text, YTick: text},
		Bars{Head: head, Rows: []Bar{{Name: "zero"}, {Name: "none", Value: nan, Low: nan, High: nan}, {Name: "all", Value: inf, High: inf}}},
		Latencies{Head: head, Tick: text, Rows: []LatencyRow{{Name: "a"}, {Name: "b", P50: nan, P99: inf}}},
		Curves{Head: head, XTick: text, YTick: text, Lines: []Curve{{Name: "none"}, {Name: "one", Points: []Point{{5, 5, 5, 5, ""}}}, {Name: "bad", Points: []Point{{0, nan, inf, -1, "bad"}}}}},
	} {
		elements(t, p.SVG(true))
	}
}

func TestTicks(t *testing.T) {
	if got := newLogScale([]float64{30, 70_000}, 0, 1).ticks(); !slices.Equal(got, []float64{100, 1000, 10_000}) {
		t.Errorf("ticks %v", got)
	}
	if got := newLogScale([]float64{20, 90}, 0, 1).ticks(); !slices.Equal(got, []float64{20, 50}) {
		t.Errorf("ticks %v", got)
	}
	for most, n := range map[float64]int{1: 6, 7.3: 8, 24: 5, 100: 6, 0: 1} {
		got := linearTicks(most)
		if len(got) != n || got[0] != 0 || got[len(got)-1] > most*1.001 {
			t.Errorf("ticks to %v: %v, want %d", most, got, n)
		}
	}
}
