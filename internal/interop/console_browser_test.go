//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// choose has the console talk to an endpoint, and waits until it does.
func (b *tab) choose(path string) {
	b.t.Helper()
	b.fill("path", path)
	b.click("#connect")
	b.until(fmt.Sprintf(`document.getElementById('state').dataset.state === 'open' && document.getElementById('path').value === %s`, quoted(path)))
}

// fill puts a text into a field, as somebody who types.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`((e) => { e.value = %s; e.dispatchEvent(new Event('input')); })(document.getElementById(%s))`,
		quoted(text), quoted(id))))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%s).click()`, quoted(selector))))
}

// shows waits until text is in the elements of a selector.
func (b *tab) shows(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`[...document.querySelectorAll(%s)].some((e) => e.checkVisibility() && e.textContent.includes(%s))`,
		quoted(selector), quoted(text)))
}

// TestConsoleEndpoints talks to every endpoint that the console proposes, and pings it.
func TestConsoleEndpoints(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	paths, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('#endpoints option')].map((o) => o.value).filter(Boolean)`))
	if err != nil || len(paths) < 8 {
		t.Fatalf("endpoints %q, %v", paths, err)
	}
	for _, path := range paths {
		b.choose(path)
		b.click("#clear")
		b.until(`document.getElementById('about').textContent !== '' && document.querySelector('#examples button') !== null`)
		b.click("#examples button")
		b.click("#submit")
		b.until(`document.querySelector('#lines li[data-kind=sent]') !== null && document.querySelector('#lines li[data-kind=received]') !== null`)
		b.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('ping-time').textContent = ''`))
		b.click("#ping")
		b.until(`/^[0-9.]+ ms$/.test(document.getElementById('ping-time').textContent)`)
		b.until(`![...document.querySelectorAll('#lines .what')].some((e) => /"type":"error"|"error":/.test(e.textContent))`)
	}
	b.check()
}

// TestConsoleCloses closes with codes and reasons, and says what those of the server mean.
func TestConsoleCloses(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('details').open = true`))
	for _, wrong := range []struct{ code, reason, says string }{
		{"1001", "", "1000, or with 3000 to 4999"},
		{"2999", "", "1000, or with 3000 to 4999"},
		{"1000", strings.Repeat("é", 62), "too long, by 1 bytes"},
	} {
		b.fill("close-code", wrong.code)
		b.fill("close-reason", wrong.reason)
		b.click("#close")
		b.shows("#close-error", wrong.says)
	}
	b.fill("close-code", "4321")
	b.fill("close-reason", strings.Repeat("é", 61))
	b.shows("#close-means", "a code of the application")
	b.click("#close")
	b.until(`(({state, code, clean}) => state === 'closed' && code === '4321' && clean === 'true')(document.getElementById('state').dataset)`)

	b.fill("path", "/ws/reliable")
	b.click("#connect")
	b.shows("#note-text", "1008: against the rules of the server, “\u2068client_id is missing\u2069”")
	b.until(`document.getElementById('state').dataset.state === 'closed'`) // and stays so
	b.check()
}

// TestConsolePath refuses what is no endpoint of this server, before and after it has asked it.
func TestConsolePath(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	for _, wrong := range []string{"https://example.com/ws", "//example.com/ws", "mailto:ada", "ws://127.0.0.1:1/ws"} {
		b.fill("path", wrong)
		b.click("#connect")
		b.shows("#path-error", "A path of this server")
	}
	b.fill("path", "/ws")
	b.fill("protocol", "a b, a")
	b.click("#connect")
	b.shows("#path-error", "subprotocol")
	b.do(chromedp.SendKeys(chromedp.ID("text"), "none of it has ended the connection\r"))
	b.line("received", "Echo: none of it has ended the connection")
	b.fill("protocol", "perch.v1")
	b.choose("/ws/7")
	b.line("state", "connected, with the subprotocol perch.v1")
	b.check()

	b.fill("path", "/ws/nowhere") // 404, which a browser does not tell
	b.click("#connect")
	b.shows("#note-text", "Three attempts did not get in")
	b.until(`document.getElementById('state').dataset.state === 'closed'`)
}

// TestConsoleToken shows a token as a page can.
func TestConsoleToken(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	b.fill("token", "näh") // any text can be offered
	b.fill("path", "/ws/safe")
	b.click("#connect")
	b.line("received", `{"error":"not a token","code":"token_malformed"}`)
	b.shows("#note-text", "Closed with 1008")
	b.check()
}

// TestConsoleComesBack loses its server, and finds it again by itself.
func TestConsoleComesBack(t *testing.T) {
	d := startPerchd(t)
	c := newCable(t, d.addr)
	b := openTab(t, "http://"+c.addr+"/")
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	c.set(true)
	b.shows("#note-text", "the connection was lost")
	b.until(`document.getElementById('state').dataset.state !== 'open'`)
	c.set(false)
	b.until(`document.getElementById('state').dataset.state === 'open' && document.getElementById('note').dataset.kind === 'none'`)
	b.do(chromedp.SendKeys(chromedp.ID("text"), "back\r"))
	b.line("received", "Echo: back")
}

// TestConsoleLinks follows the links of the console.
func TestConsoleLinks(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	links, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`Promise.all([...document.querySelectorAll('nav a')].map(async (a) =>
		[a.pathname, (await fetch(a.href)).status].join(' ')))`, chromedp.EvalAwaitPromise))
	if got, want := strings.Join(links, ", "), "/chat 200, /docs/protocol.md 200, /metrics 200"; err != nil || got != want {
		t.Errorf("links %q, %v, want %q", got, err, want)
	}
}
