package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal returns f if it is a terminal, else nil.
func Terminal(f *os.File) io.Writer {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return f
}

const (
	progressWidth  = 30
	progressPeriod = 100 * time.Millisecond
)

// progress is a line that is written over and over.
type progress struct {
	w    io.Writer // nil: nowhere
	last time.Time
}

// show draws the line anew, some times a second.
func (p *progress) show(what string, fraction float64) {
	if p.w == nil || time.Since(p.last) < progressPeriod {
		return
	}
	p.last = time.Now()
	n := int(progressWidth * min(max(fraction, 0), 1))
	fmt.Fprintf(p.w, "\r\x1b[K%-10s [%s%s] %3.0f %%", what, strings.Repeat("#", n), strings.Repeat(".", progressWidth-n), 100*min(fraction, 1))
}

// clear takes the line away.
func (p *progress) clear() {
	if p.w != nil && !p.last.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.last = time.Time{}
	}
}
