package plot

import (
	"cmp"
	"slices"
)

// Curves shows how a figure grows: the same load on ever more connections, or
// members. The horizontal axis is logarithmic.
type Curves struct {
	Head
	XAxis string
	LogY  bool // otherwise the vertical axis begins at zero
	XTick func(v float64) string
	YTick func(v float64) string
	Lines []Curve
}

// Curve is a server, named at its right end.
type Curve struct {
	Name   string
	Kind   Kind
	Points []Point // by X
}

// Point is a value and the range that it was measured in. Text is the value as it
// is written beside the point of a curve that is alone.
type Point struct {
	X, Y, Low, High float64
	Text            string
}

const (
	plotTop    = 12
	plotBottom = 268
	plotLeft   = 52
	plotRight  = 316
	labelGap   = 13.5
)

// SVG draws the curves, ours above the others.
func (p Curves) SVG(alone bool) string {
	var c canvas
	var xs, ys []float64
	for _, l := range p.Lines {
		for _, q := range l.Points {
			xs, ys = append(xs, q.X), append(ys, q.Y, q.Low, q.High)
		}
	}
	x := newLogScale(xs, plotLeft, plotRight)
	y := p.scaleY(&c, ys)
	for _, t := range distinct(xs) {
		c.line("grid", x.at(t), plotTop, x.at(t), plotBottom)
		c.text(x.at(t), plotBottom+16, "mid small muted", p.XTick(t))
	}
	lines := slices.Clone(p.Lines)
	slices.SortStableFunc(lines, func(a, b Curve) int { return cmp.Compare(boolInt(a.Kind == Ours), boolInt(b.Kind == Ours)) })
	for _, l := range lines {
		kind := kindNames[l.Kind]
		var points []float64
		for _, q := range l.Points {
			points = append(points, x.at(q.X), y(q.Y))
		}
		if len(l.Points) > 1 {
			c.polyline("line-"+kind, points)
		}
		for _, q := range l.Points {
			if q.High > q.Low {
				c.line("line-"+kind, x.at(q.X), y(q.Low), x.at(q.X), y(q.High))
			}
			c.circle("dot-"+kind, x.at(q.X), y(q.Y), 3)
			if len(lines) == 1 && q.Text != "" { // there is room
				c.text(x.at(q.X)+7, y(q.Y)-7, "small strong", q.Text)
			}
		}
	}
	p.labels(&c, x, y)
	c.text(0, plotBottom+34, "small muted", p.XAxis)
	c.text(0, plotBottom+48, "small muted", p.Axis)
	return c.finish(p.Head, plotBottom+56, alone)
}

// scaleY draws the grid of the vertical axis and returns its scale.
func (p Curves) scaleY(c *canvas, ys []float64) func(float64) float64 {
	grid := func(at float64, v float64) {
		c.line("grid", plotLeft, at, plotRight, at)
		c.text(plotLeft-6, at+4, "right small muted", p.YTick(v))
	}
	if p.LogY {
		s := newLogScale(ys, plotBottom, plotTop)
		for _, t := range s.ticks() {
			grid(s.at(t), t)
		}
		return s.at
	}
	most := 0.0
	for _, v := range ys {
		most = max(most, v)
	}
	if most == 0 {
		most = 1
	}
	at := func(v float64) float64 { return plotBottom - (plotBottom-plotTop)*max(v, 0)/most }
	for _, t := range linearTicks(most) {
		grid(at(t), t)
	}
	return at
}

// labels names each curve at its last point, moved apart where they would
// overlap.
func (p Curves) labels(c *canvas, x logScale, y func(float64) float64) {
	type label struct {
		Curve
		end Point
	}
	var all []label
	for _, l := range p.Lines {
		if len(l.Points) > 0 {
			all = append(all, label{l, l.Points[len(l.Points)-1]})
		}
	}
	slices.SortStableFunc(all, func(a, b label) int { return cmp.Compare(y(a.end.Y), y(b.end.Y)) })
	var at []float64
	for _, l := range all {
		at = append(at, y(l.end.Y))
	}
	spread(at, labelGap, plotTop+2, plotBottom)
	for i, l := range all {
		c.line("leader", x.at(l.end.X)+5, y(l.end.Y), plotRight+14, at[i])
		c.text(plotRight+17, at[i]+4, l.Kind.nameClass(), l.Name)
	}
}

// distinct are the different values, each once.
func distinct(xs []float64) []float64 {
	xs = slices.Clone(xs)
	slices.Sort(xs)
	return slices.Compact(xs)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
