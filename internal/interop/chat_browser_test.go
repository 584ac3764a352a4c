//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// guest is somebody who uses the chat page.
type guest struct {
	*tab
	name string
}

// openChat opens the chat page in a browser of its own and enters.
func openChat(t *testing.T, url, name string) *guest {
	t.Helper()
	g := &guest{openTab(t, url), name}
	g.enter()
	return g
}

func (g *guest) enter() {
	g.t.Helper()
	g.until(`!document.getElementById('welcome').hidden`)
	g.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('name').value = ''`)) // the page proposes the last one
	g.do(chromedp.SendKeys(chromedp.ID("name"), g.name+"\r"))
	g.open()
}

// open waits until the page is in a room.
func (g *guest) open() {
	g.t.Helper()
	g.until(`document.getElementById('state').dataset.state === 'open' && !document.getElementById('text').disabled`)
}

func (g *guest) types(text string) {
	g.t.Helper()
	g.do(chromedp.SendKeys(chromedp.ID("text"), text))
}

func (g *guest) says(text string) {
	g.t.Helper()
	g.types(text + "\r")
}

// transcript waits until the messages on the page, and no other, are these: "name: text", in order, all confirmed.
func (g *guest) transcript(want ...string) {
	g.t.Helper()
	list, _ := json.Marshal(append([]string{}, want...))
	g.until(fmt.Sprintf(`document.querySelectorAll('.message[data-fate]').length === 0 &&
		JSON.stringify([...document.querySelectorAll('.message')].map((li) =>
			li.querySelector('.sender').textContent + ': ' + li.querySelector('.content').textContent)) === JSON.stringify(%s)`, list))
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// checkButLosses is check, but for what the browser says when a connection cannot be made.
func (g *guest) checkButLosses() {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.faults {
		if !strings.Contains(f, "WebSocket connection to") && !strings.Contains(f, "net::ERR_") {
			g.t.Errorf("the browser says: %s", f)
		}
	}
}

// cable is a TCP way to a server that can be cut.
type cable struct {
	addr string
	deaf atomic.Bool // what the server says is lost

	mu    sync.Mutex
	cut   bool // nothing gets through
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{addr: l.Addr().String()}
	t.Cleanup(func() {
		l.Close()
		c.set(true)
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil || !c.hold(near, far) {
				near.Close()
				continue
			}
			go func() {
				defer far.Close()
				_, _ = io.Copy(far, near) // its errors are cuts
			}()
			go func() {
				defer near.Close()
				_, _ = io.Copy(ears{c, near}, far)
			}()
		}
	}()
	return c
}

// hold keeps connections to be cut; false: the cable is cut.
func (c *cable) hold(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		for _, conn := range conns {
			conn.Close()
		}
		return false
	}
	c.conns = append(c.conns, conns...)
	return true
}

// set cuts the cable, with a reset and not with an end, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	c.conns = nil
	c.deaf.Store(false)
}

// ears is the near end, when the server speaks.
type ears struct {
	c *cable
	w io.Writer
}

func (e ears) Write(p []byte) (int, error) {
	if e.c.deaf.Load() {
		return len(p), nil
	}
	return e.w.Write(p)
}

func TestChatBrowser(t *testing.T) {
	d := startPerchd(t)
	c := newCable(t, d.addr)
	ann := openChat(t, "http://"+c.addr+"/chat", "Ann")
	bob := openChat(t, d.http("/chat"), "Bob")
	ann.shows("#messages .notice", "Bob joined")

	bob.types("hel")
	ann.shows("#typing", "Bob is typing")
	bob.says("lo")
	ann.transcript("Bob: hello")
	ann.until(`document.getElementById('typing').textContent === ''`)

	markup := `<img src=x onerror="document.title='broken'"><b>東京</b> javascript:alert(1)`
	ann.says(markup)
	bob.transcript("Bob: hello", "Ann: "+markup)
	bob.until(`document.querySelector('.content *') === null && document.title !== 'broken'`)
	bob.says("see (https://example.com/a?b=1).")
	ann.until(`((a) => a?.href === 'https://example.com/a?b=1' && a.rel.includes('noopener') && a.target === '_blank')(document.querySelector('.content a'))`)

	// Reply by keyboard, from the text box: up to the last message, and R.
	ann.do(chromedp.SendKeys(chromedp.ID("text"), kb.ArrowUp))
	ann.until(`document.activeElement.matches('.message:last-child')`)
	// (A key sent by the protocol comes as a keydown and a character, the one not preventing the other.)
	ann.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'r', bubbles: true }))`))
	ann.shows("#replying", "see (https")
	ann.says("seen")
	bob.shows(".message:last-child .quote", "Bob see (https://example.com/a?b=1).")
	said := []string{"Bob: hello", "Ann: " + markup, "Bob: see (https://example.com/a?b=1).", "Ann: seen"}
	bob.transcript(said...)

	// The plug is pulled. Messages of both sides meanwhile arrive in order, once.
	c.set(true)
	ann.until(`document.getElementById('state').dataset.state !== 'open'`)
	ann.shows("#banner", "connection")
	ann.says("from the tunnel")
	const missed = 60 // more than a room shows to who joins: only a resume brings them all
	bob.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`for (let i = 0; i < %d; i++) {
		document.getElementById('text').value = 'missed ' + i;
		document.getElementById('composer').requestSubmit();
	}`, missed)))
	for i := range missed {
		said = append(said, fmt.Sprintf("Bob: missed %d", i))
	}
	bob.transcript(said...)
	c.set(false)
	ann.shows("#banner", fmt.Sprint(missed, " messages came meanwhile"))
	said = append(said, "Ann: from the tunnel")
	ann.transcript(said...)
	bob.transcript(said...)

	// An acknowledgement is lost: the message is sent again, and posted once.
	c.deaf.Store(true)
	ann.says("once")
	said = append(said, "Ann: once")
	bob.transcript(said...)
	c.set(false)
	ann.shows("#banner", "Back online")
	ann.transcript(said...)
	bob.says("after")
	said = append(said, "Bob: after")
	ann.transcript(said...)
	bob.transcript(said...)

	// Loaded again, the page is who it was, and shows the latest of what it showed.
	ann.do(chromedp.Reload())
	ann.open()
	ann.transcript(said[len(said)-50:]...)
	ann.until(`document.getElementById('me-name').textContent === 'Ann'`)
	bob.until(`[...document.querySelectorAll('#people .name')].map((e) => e.textContent).join() === 'Ann,Bob'`)
	ann.checkButLosses()
	bob.check()
}

// TestChatBrowserGap misses more than the server keeps.
func TestChatBrowserGap(t *testing.T) {
	d := startPerchd(t, "--room-history", "5")
	c := newCable(t, d.addr)
	ann := openChat(t, "http://"+c.addr+"/chat", "Ann")
	bob := openChat(t, d.http("/chat"), "Bob")
	bob.says("before")
	ann.transcript("Bob: before")
	c.set(true)
	said := []string{"Bob: before"}
	for i := range 8 {
		bob.says(fmt.Sprint(i))
		said = append(said, fmt.Sprint("Bob: ", i))
	}
	bob.transcript(said...)
	c.set(false)
	ann.shows("#banner", "messages may be missing")
	ann.transcript("Bob: before", "Bob: 3", "Bob: 4", "Bob: 5", "Bob: 6", "Bob: 7")
	ann.until(`document.querySelector('.message + .notice[data-kind=gap] + .message .content').textContent === '3'`)
}

func TestChatBrowserRooms(t *testing.T) {
	d := startPerchd(t)
	ann, bob := openChat(t, d.http("/chat"), "Ann"), openChat(t, d.http("/chat"), "Bob")
	ann.says("for all")
	bob.transcript("Ann: for all")

	ann.join("den", "secret")
	ann.shows("#ask-title", "Create den?")
	ann.click("#ask-yes")
	ann.shows("#room-name", "den")
	ann.transcript()
	ann.says("for few")
	ann.transcript("Ann: for few")
	bob.shows("#messages .notice", "Ann left")

	bob.join("den", "guess")
	bob.until(`document.getElementById('password').open && document.getElementById('password-error').textContent !== ''`)
	bob.transcript("Ann: for all") // still where it was
	bob.do(chromedp.SendKeys(chromedp.ID("password-text"), "secret\r"))
	bob.shows("#room-name", "den")
	bob.transcript("Ann: for few")
	bob.until(`document.getElementById('people-count').textContent === '2'`)

	// What comes while nobody looks is counted in the title.
	ann.do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'))`))
	bob.says("one")
	bob.says("two")
	ann.until(`document.title === '(2) #den · Perch'`)
	ann.do(chromedp.Evaluate[chromedp.Void](`delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))`))
	ann.until(`document.title === '#den · Perch'`)

	// An image is made small, and comes out at the other end.
	ann.do(chromedp.Evaluate[chromedp.Void](`(async () => {
		const canvas = document.createElement('canvas'), noise = new ImageData(1500, 900);
		for (let i = 0; i < noise.data.length; i++) noise.data[i] = i * i * 7 % 256;
		canvas.width = 1500, canvas.height = 900;
		canvas.getContext('2d').putImageData(noise, 0, 0);
		const files = new DataTransfer();
		files.items.add(new File([await new Promise((done) => canvas.toBlob(done))], 'noise.png', { type: 'image/png' }));
		document.getElementById('attach').click();
		document.getElementById('image-file').files = files.files;
		document.getElementById('image-file').dispatchEvent(new Event('change'));
	})()`))
	ann.until(`!document.getElementById('image-send').disabled`)
	ann.click("#image-send")
	bob.until(`((img) => img?.naturalWidth > 50 && img.src.startsWith('data:image/') && img.src.length <= 16384 && img.alt === 'Image from Ann')(document.querySelector('.content img'))`)

	// One from elsewhere is not fetched unasked.
	bob.click("#attach")
	bob.do(chromedp.SendKeys(chromedp.ID("image-link"), "https://images.example/cat.png\r"))
	ann.shows(".offer button", "images.example")
	ann.until(`document.querySelectorAll('.content img').length === 1`)
	ann.check()
	bob.check()
}

func (g *guest) join(room, password string) {
	g.t.Helper()
	g.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById('join-room').value = %s;
		document.getElementById('join-password').value = %s; document.getElementById('join').requestSubmit()`, quoted(room), quoted(password))))
}

// TestChatBrowserReplaced takes a session to another window: the first stays away until it is asked back.
func TestChatBrowserReplaced(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	who, err := chromedp.Run(ann.ctx, chromedp.Evaluate[string](`sessionStorage.getItem('perch-chat')`))
	if err != nil {
		t.Fatal(err)
	}
	other := &guest{openTab(t, d.http("/chat")), "Ann"}
	other.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`sessionStorage.setItem('perch-chat', %s)`, quoted(who))), chromedp.Reload())
	other.open()
	ann.shows("#banner", "another window")
	other.until(`document.getElementById('me-name').textContent === 'Ann'`)
	ann.click("#banner-button")
	ann.open()
	other.shows("#banner", "another window")

	// Who leaves is asked for a name again, and is somebody else then.
	ann.click("#leave")
	ann.enter()
	ann.until(`document.getElementById('state').dataset.state === 'open' && document.getElementById('people-count').textContent === '1'`)
	ann.check()
}

// TestChatBrowserName has the server refuse a name.
func TestChatBrowserName(t *testing.T) {
	d := startPerchd(t)
	g := &guest{openTab(t, d.http("/chat")), "system"}
	g.do(chromedp.SendKeys(chromedp.ID("name"), g.name+"\r"))
	g.shows("#farewell", "name")
	g.name = "Ann"
	g.enter()
	g.until(`document.getElementById('me-name').textContent === 'Ann'`)
}

// TestChatBrowserToken is at a server that demands tokens. They come by hand or in the address, and expire.
func TestChatBrowserToken(t *testing.T) {
	key := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(key, []byte(strings.Repeat("perch", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	token := func(ttl string) string {
		return strings.TrimSpace(string(output(t, nil, binary(t, "perchd"), "token", "-key", key, "-sub", "ann", "-ttl", ttl)))
	}
	d := startPerchd(t, "--auth-key", key, "--auth-leeway", "1ms")
	g := &guest{openTab(t, d.http("/chat")), "Ann"}
	g.do(chromedp.SendKeys(chromedp.ID("name"), g.name+"\r"))
	g.shows("#farewell", "access token")
	g.do(chromedp.SendKeys(chromedp.ID("token"), token("1h")+"\r"))
	g.open()
	g.says("by hand")
	g.transcript("Ann: by hand")
	g.click("#leave")

	g.do(chromedp.Evaluate[chromedp.Void]("location.hash = '#token=" + token("5s") + "'"))
	g.until(`location.hash === ''`)
	g.enter()
	g.transcript("Ann: by hand")
	g.shows("#farewell", "expired")
	g.do(chromedp.Evaluate[chromedp.Void]("location.hash = '#token=" + token("1h") + "'"))
	g.open()
	g.transcript("Ann: by hand")
	g.until(`document.getElementById('me-name').textContent === 'Ann'`)
	g.checkButLosses()
}

func TestChatBrowserAccessible(t *testing.T) {
	d := startPerchd(t)
	g := openChat(t, d.http("/chat"), "Ann")
	g.says("hello")
	g.transcript("Ann: hello")
	unnamed, err := chromedp.Run(g.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('input, button, textarea, img, dialog, nav, aside')]
		.filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel || e.hasAttribute('alt') || e.hasAttribute('aria-labelledby')
			|| e.closest('[hidden]'))).map((e) => e.outerHTML)`))
	if err != nil || len(unnamed) > 0 {
		t.Errorf("without a name: %v, %v", strings.Join(unnamed, "\n"), err)
	}
	live, err := chromedp.Run(g.ctx, chromedp.Evaluate[int](`document.querySelectorAll('#log[role=log], #banner-text[role=status], #toast[role=status]').length`))
	if err != nil || live != 3 {
		t.Errorf("%d live regions, %v, want the messages, the banner and the note", live, err)
	}
	// nothing sticks out on a phone
	g.until(`document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight`)

	// The drawer takes the focus, and gives it back.
	g.click("#side-open")
	g.until(`document.activeElement.id === 'side-close' && document.getElementById('main').inert`)
	g.do(chromedp.KeyEvent(kb.Escape))
	g.until(`document.activeElement.id === 'side-open' && !document.getElementById('main').inert`)
	g.check()
}
