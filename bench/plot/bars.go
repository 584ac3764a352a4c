package plot

// Bars compares servers by one figure each: a bar from zero, and the range that
// it was measured in.
type Bars struct {
	Head
	Rows []Bar
}

// Bar is a row. Text is the value and Range the spread as they are written.
type Bar struct {
	Name, Tag        string
	Kind             Kind
	Value, Low, High float64
	Text, Range      string
}

const (
	rowHeight = 36
	nameEnd   = 128 // where the names end and the marks begin
	barEnd    = 338
	captionAt = 18 // below the last row

	captionLine = 14
)

// SVG draws the bars in the order of the rows.
func (p Bars) SVG(alone bool) string {
	var c canvas
	most := 0.0
	for _, r := range p.Rows {
		most = max(most, r.High, r.Value)
	}
	at := func(v float64) float64 { // zero is the left end, below it nothing
		if most <= 0 {
			return nameEnd
		}
		return nameEnd + (barEnd-nameEnd)*max(v, 0)/most
	}
	for i, r := range p.Rows {
		y := float64(i * rowHeight)
		c.name(y, r.Name, r.Tag, r.Kind)
		c.rect("bar-"+kindNames[r.Kind], nameEnd, y+9, at(r.Value)-nameEnd, 16)
		if r.High > r.Low {
			low, high := at(r.Low), at(r.High)
			c.line("whisker", low, y+17, high, y+17)
			c.line("whisker", low, y+13, low, y+21)
			c.line("whisker", high, y+13, high, y+21)
		}
		c.value(y, r.Text, r.Range)
	}
	bottom := float64(len(p.Rows) * rowHeight)
	c.line("grid", nameEnd, 2, nameEnd, bottom-2)
	c.text(0, bottom+captionAt, "small muted", p.Axis)
	if p.Note != "" {
		bottom += captionLine
		c.text(0, bottom+captionAt, "small muted", p.Note)
	}
	return c.finish(p.Head, bottom+captionAt+8, alone)
}

// name writes the name of a row's server, and its language below it.
func (c *canvas) name(y float64, name, tag string, k Kind) {
	c.text(0, y+15, k.nameClass(), name)
	c.text(0, y+28, "small muted", tag)
}

// value writes a row's figure at the right end, and its spread below it.
func (c *canvas) value(y float64, text, spread string) {
	c.text(Width, y+15, "right strong", text)
	c.text(Width, y+28, "right small muted", spread)
}
