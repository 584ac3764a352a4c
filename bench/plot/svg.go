// Package plot draws the figures of a report as SVG, by hand: bars, ranges of
// latencies, curves. Each is drawn for the width of a phone, and has its numbers
// written beside the marks: nothing has to be looked up in a legend.
package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Width of all plots, in the units of their viewBox.
const Width = 440

// Kind says how a mark stands out.
type Kind uint8

const (
	Peer  Kind = iota
	Ours       // what the report is about
	Limit      // a yardstick, no server for use
)

// Style colours the plots; a page that has them inline needs it once. It sets
// the custom properties of both schemes.
const Style = `.plot{--ink:#1c2430;--muted:#5c6878;--line:#dde2e9;--peer:#9aa7b8;--ours:#0b6bcb;--paper:#fff;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
@media(prefers-color-scheme:dark){.plot{--ink:#e6eaf0;--muted:#9aa6b5;--line:#2c3644;--peer:#66758a;--ours:#55a8ff;--paper:#11161d}}
.plot text{fill:var(--ink);font-size:13px}.plot .small{font-size:10.5px}.plot .muted{fill:var(--muted)}.plot .strong{font-weight:650}.plot .right{text-anchor:end}.plot .mid{text-anchor:middle}
.plot .name-ours{fill:var(--ours);font-weight:650}.plot .paper{fill:var(--paper)}.plot .title{font-size:15px;font-weight:650}
.plot .bar-peer{fill:var(--peer)}.plot .bar-ours{fill:var(--ours)}.plot .bar-limit{fill:none;stroke:var(--muted);stroke-dasharray:3 2}
.plot .whisker{stroke:var(--ink);stroke-width:1.2;fill:none}.plot .grid{stroke:var(--line);stroke-width:1;fill:none}
.plot .line-peer{stroke:var(--peer);stroke-width:1.5;fill:none}.plot .line-ours{stroke:var(--ours);stroke-width:2.5;fill:none}.plot .line-limit{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:3 2;fill:none}
.plot .leader{stroke:var(--line);stroke-width:1;fill:none}
.plot .dot-peer{fill:var(--peer)}.plot .dot-ours{fill:var(--ours)}.plot .dot-limit{fill:var(--muted)}.plot .hollow{fill:var(--paper);stroke-width:1.8}.plot .ring-peer{stroke:var(--peer)}.plot .ring-ours{stroke:var(--ours)}.plot .ring-limit{stroke:var(--muted)}
`

var kindNames = [...]string{Peer: "peer", Ours: "ours", Limit: "limit"}

// nameClass is the class of a server's name.
func (k Kind) nameClass() string {
	if k == Ours {
		return "name-ours"
	}
	return ""
}

// Head is what all plots have: what it shows, for those who see it and those
// who do not. ID is unique in a page.
type Head struct {
	ID    string
	Title string
	Desc  string // one or two sentences: what is drawn, and which way is better
	Axis  string // caption: what the numbers are, with their unit
	Note  string // a second line of it; of bars alone
}

// canvas is an SVG that is being drawn.
type canvas struct {
	b strings.Builder
}

// finish wraps what was drawn into an element of a height. alone: it is a file of
// its own, with title, colours and a background.
func (c *canvas) finish(h Head, height float64, alone bool) string {
	var b strings.Builder
	top, margin := 0.0, 0.0
	if alone {
		top, margin = 34, 14
	}
	fmt.Fprintf(&b, `<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="%s %s %s %s" role="img" aria-labelledby="%s-t %s-d">`,
		num(-margin), num(-top-margin/2), num(Width+2*margin), num(height+top+margin), escape(h.ID), escape(h.ID))
	fmt.Fprintf(&b, `<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, escape(h.ID), escape(h.Title), escape(h.ID), escape(h.Desc))
	if alone {
		fmt.Fprintf(&b, "<style>%s</style>", Style)
		fmt.Fprintf(&b, `<rect class="paper" x="%s" y="%s" width="%s" height="%s" rx="8"/>`, num(-margin), num(-top-margin/2), num(Width+2*margin), num(height+top+margin))
		fmt.Fprintf(&b, `<text class="title" x="0" y="-14">%s</text>`, escape(h.Title))
	}
	b.WriteString(c.b.String())
	b.WriteString("</svg>")
	return b.String()
}

// text writes s with its baseline at y.
func (c *canvas) text(x, y float64, class, s string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s"`, num(x), num(y))
	if class = strings.TrimSpace(class); class != "" {
		fmt.Fprintf(&c.b, ` class="%s"`, class)
	}
	fmt.Fprintf(&c.b, ">%s</text>", escape(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="2"/>`, class, num(x), num(y), num(max(w, 0)), num(h))
}

func (c *canvas) circle(class string, x, y, r float64) {
	fmt.Fprintf(&c.b, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`, class, num(x), num(y), num(r))
}

func (c *canvas) polyline(class string, points []float64) {
	fmt.Fprintf(&c.b, `<polyline class="%s" points="`, class)
	for i, p := range points {
		if i > 0 {
			c.b.WriteByte(' ')
		}
		c.b.WriteString(num(p))
	}
	c.b.WriteString(`"/>`)
}

// num is a coordinate. A value that is no number becomes 0: it would make the
// whole picture invalid.
func num(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escaper.Replace(s) }
