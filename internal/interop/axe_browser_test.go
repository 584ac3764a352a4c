//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe has axe-core look at the page as it is, in light and in dark.
func (b *tab) axe(what string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](needAxe(b.t) + "; undefined"))
	for _, scheme := range []string{"light", "dark"} {
		b.paint(scheme)
		faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, { resultTypes: ['violations'] }).then((r) =>
			r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html + '\n' + n.failureSummary)))`, chromedp.EvalAwaitPromise))
		if err != nil || len(faults) > 0 {
			b.t.Errorf("%s, %s: %v\n%s", what, scheme, err, strings.Join(faults, "\n"))
		}
	}
}

// paint says whether the user wants light or dark, and no motion.
func (b *tab) paint(scheme string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}); err != nil {
		b.t.Fatal(err)
	}
}

// TestAxe looks at every page and at what opens on it, on a phone and on a desk.
func TestAxe(t *testing.T) {
	d := startPerchd(t)
	console := openTab(t, d.http("/"))
	console.until(`document.getElementById('state').dataset.state === 'open'`)
	console.do(chromedp.SendKeys(chromedp.ID("text"), "hello\r"))
	console.line("received", "Echo: hello")
	g := &guest{openTab(t, d.http("/chat")), "Ann"}
	g.until(`!document.getElementById('welcome').hidden`)
	g.axe("the way in")
	g.enter()
	g.says("hello")
	g.transcript("Ann: hello")
	for _, width := range []int64{390, 1440} {
		for _, b := range []*tab{console, g.tab} {
			b.do(chromedp.EmulateViewport(width, 800))
		}
		console.axe(fmt.Sprint("console at ", width))
		g.axe(fmt.Sprint("chat at ", width))
	}
	g.join("tea", "secret")
	g.shows("#ask-title", "Create tea?")
	g.axe("a question")
	g.click("#ask-yes")
	g.shows("#room-name", "tea")
	g.click("#menu-open")
	g.shows("#menu-delete", "Delete")
	g.axe("the menu of a room")
	g.click("#menu-leave")
	g.shows("#nowhere", "You have left tea")
	g.axe("no room")
	g.do(chromedp.EmulateViewport(390, 800))
	g.click("#side-open")
	g.axe("the drawer")
}
