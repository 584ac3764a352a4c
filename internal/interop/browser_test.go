//go:build linux

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one page of a headless browser that starts with nothing of anybody's: no profile, no network
// but ours.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the console says: policy violations, exceptions, missing files
}

func openTab(t *testing.T, url string) *tab {
	t.Helper()
	path := need(t, "apt-get install chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
	}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "no-proxy-server",
		"ignore-certificate-errors"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	// Subscribed before the page loads; the loops end with the browser.
	entries, exceptions := chromedp.Events(ctx, log.EntryAdded), chromedp.Events(ctx, runtime.ExceptionThrown)
	go func() {
		for e, err := range entries {
			if err == nil && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
				b.fault(e.Entry.Text)
			}
		}
	}()
	go func() {
		for e, err := range exceptions {
			if err == nil {
				b.fault(e.ExceptionDetails.Text)
			}
		}
	}()
	b.do(chromedp.EmulateViewport(360, 740), chromedp.Navigate(url)) // a phone's
	return b
}

func (b *tab) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a JavaScript expression to hold.
func (b *tab) until(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(patience))); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("waiting for %s: %v\nthe page says:\n%s", expression, err, text)
	}
}

// line waits for an entry of the page's list.
func (b *tab) line(kind, text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.until(fmt.Sprintf(`[...document.querySelectorAll('#log li[data-kind=%s] .what')].some((e) => e.textContent === %s)`, kind, quoted))
}

// check fails the test for everything the console complained about.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("the browser says: %s", f)
	}
}

func TestBrowser(t *testing.T) {
	t.Run("http", func(t *testing.T) { browse(t) })
	t.Run("https", func(t *testing.T) { browse(t, "--tls-self-signed") })
}

func browse(t *testing.T, args ...string) {
	d := startPerchd(t, args...)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)

	b.do(chromedp.SendKeys(chromedp.ID("text"), "hello from a browser"), chromedp.Click(chromedp.ID("submit")))
	b.line("sent", "hello from a browser")
	b.line("received", "Echo: hello from a browser")

	// By keyboard, and as markup: it must stay text.
	markup := `<img src=x onerror="document.title='broken'"><b>東京</b>`
	b.do(chromedp.SendKeys(chromedp.ID("text"), markup+"\r"))
	b.line("received", "Echo: "+markup)
	b.until(`document.querySelector('#log img, #log b') === null && document.title !== 'broken'`)

	// ?raw=1 is another connection.
	b.choose("/ws?raw=1")
	b.until(`document.getElementById('websocat').textContent.endsWith("/ws?raw=1'")`)
	b.do(chromedp.SendKeys(chromedp.ID("text"), "as it is\r"))
	b.line("received", "as it is")

	b.click("#close") // which is folded away
	b.until(`(({state, code, clean}) => state === 'closed' && code === '1000' && clean === 'true')(document.getElementById('state').dataset)`)
	b.until(`document.getElementById('submit').disabled && document.getElementById('close').disabled`)

	// And back again, until the server goes away.
	b.do(chromedp.Click(chromedp.ID("connect")))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	b.do(chromedp.SendKeys(chromedp.ID("text"), "still here\r"))
	b.line("received", "still here")
	// nothing sticks out on a phone
	b.until(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`)
	b.check()
	// Its first attempt to come back may fail before anybody looks: the page's changes are noted as they happen.
	b.until(`(() => {
		window.seen = []
		new MutationObserver(() => {
			const {state, code, clean} = document.getElementById('state').dataset
			seen.push([state, code, clean, document.getElementById('note-text').textContent].join(' '))
		}).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true})
		return true
	})()`)
	d.signal(syscall.SIGTERM)
	b.until(`seen.some(s => s.startsWith('waiting 1001 true ') && s.includes('the server is going away'))`)
	b.do(chromedp.Click(chromedp.ID("note-stop")))
	b.until(`document.getElementById('state').dataset.state === 'closed' && document.getElementById('note-count').textContent === ''`)
	d.succeed()
}

// TestBrowserDeflate has a page send messages compressed and get them back so, several times: the browser keeps its
// context if it may.
func TestBrowserDeflate(t *testing.T) {
	for _, takeover := range []string{"false", "true"} {
		d := startPerchd(t, "--deflate-server-takeover="+takeover, "--deflate-client-takeover="+takeover)
		b := openTab(t, d.http("/"))
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`new Promise((resolve) => {
			const ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws?raw=1');
			const text = Array.from({length: 2000}, (_, i) => 'message ' + i + ', ünïcödé 会议').join(' ');
			let same = 0;
			ws.onopen = () => { for (let i = 0; i < 5; i++) ws.send(text); };
			ws.onmessage = ({data}) => { if (data === text && ++same === 5) ws.close(1000); };
			ws.onclose = ({code}) => resolve([ws.extensions.split(';')[0], same, code].join(' '));
		})`, chromedp.EvalAwaitPromise))
		if want := "permessage-deflate 5 1000"; err != nil || got != want {
			t.Errorf("takeover %s: %q, %v, want %q", takeover, got, err, want)
		}
		b.check()
		resp, err := http.Get(d.http("/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		metrics, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		for _, line := range []string{"perch_messages_received_compressed_total 5\n", "perch_messages_sent_compressed_total 5\n"} {
			if err != nil || !strings.Contains(string(metrics), line) {
				t.Errorf("takeover %s: no %q in the metrics, %v", takeover, line, err)
			}
		}
	}
}

// TestBrowserAccessible asks the browser for the name of every control, as a screen reader would.
func TestBrowserAccessible(t *testing.T) {
	d := startPerchd(t)
	b := openTab(t, d.http("/"))
	b.until(`document.getElementById('state').dataset.state === 'open'`)
	unnamed, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('input, button, select, textarea')]
		.filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.outerHTML)`))
	if err != nil || len(unnamed) > 0 {
		t.Errorf("controls without a name: %v, %v", strings.Join(unnamed, "\n"), err)
	}
	live, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll('div#log[role=log] > ol, #state[role=status], #note-text[role=status]').length`))
	if err != nil || live != 3 {
		t.Errorf("%d live regions, %v, want 3: the list in its log, the state and the note", live, err)
	}
	b.check()
}
