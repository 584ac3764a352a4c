package plot

// Latencies shows distributions of servers on one logarithmic axis: median, 99th
// and 99.9th percentile of each.
type Latencies struct {
	Head
	Rows []LatencyRow
	Tick func(v float64) string // a value for the axis
}

// LatencyRow is a server. Text is its 99th percentile.
type LatencyRow struct {
	Name, Tag      string
	Kind           Kind
	P50, P99, P999 float64
	Low, High      float64 // the range of P99
	Text, Range    string
}

// SVG draws the rows in their order.
func (p Latencies) SVG(alone bool) string {
	var c canvas
	var all []float64
	for _, r := range p.Rows {
		all = append(all, r.P50, r.P99, r.P999, r.Low, r.High)
	}
	x := newLogScale(all, nameEnd+6, barEnd-4)
	// The key stands where the marks are.
	const top = 28
	c.circle("hollow ring-peer", nameEnd+6, 8, 4.5)
	c.text(nameEnd+15, 12, "small muted", "median")
	c.circle("dot-peer", nameEnd+66, 8, 4.5)
	c.text(nameEnd+75, 12, "small muted", "99 %")
	c.line("whisker", nameEnd+116, 3, nameEnd+116, 13)
	c.text(nameEnd+122, 12, "small muted", "99.9 %")
	c.text(Width, 12, "right small muted", "99 %")
	bottom := top + float64(len(p.Rows)*rowHeight)
	for _, t := range x.ticks() {
		c.line("grid", x.at(t), top-6, x.at(t), bottom)
		c.text(x.at(t), bottom+13, "mid small muted", p.Tick(t))
	}
	for i, r := range p.Rows {
		y := top + float64(i*rowHeight)
		kind := kindNames[r.Kind]
		c.name(y, r.Name, r.Tag, r.Kind)
		c.line("line-"+kind, x.at(r.P50), y+17, x.at(r.P999), y+17)
		c.line("whisker", x.at(r.P999), y+11, x.at(r.P999), y+23)
		c.circle("hollow ring-"+kind, x.at(r.P50), y+17, 4.5)
		c.circle("dot-"+kind, x.at(r.P99), y+17, 4.5)
		c.value(y, r.Text, r.Range)
	}
	c.text(0, bottom+14+captionAt, "small muted", p.Axis)
	return c.finish(p.Head, bottom+22+captionAt, alone)
}
