//go:build linux

package interop

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// chatters has the guest say n messages at once, and waits for all of them.
func (g *guest) chatters(n int) (said []string) {
	g.t.Helper()
	g.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`for (let i = 0; i < %d; i++) {
		document.getElementById('text').value = 'line ' + i;
		document.getElementById('composer').requestSubmit();
	}`, n)))
	for i := range n {
		said = append(said, fmt.Sprintf("%s: line %d", g.name, i))
	}
	g.transcript(said...)
	return said
}

// TestChatReloadedReads: a page that is loaded again shows what it showed, and goes back to the beginning from there.
func TestChatReloadedReads(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	said := ann.chatters(130)
	ann.do(chromedp.Reload())
	ann.open()
	ann.until(`document.querySelectorAll('.message').length === 50`)
	ann.until(`((v) => v.scrollHeight - v.scrollTop - v.clientHeight < 80)(document.getElementById('log'))`)
	for range 2 {
		ann.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('log').scrollTop = 0`))
		ann.until(`document.getElementById('log').scrollTop > 0`) // what was in sight stays there, what is older is above
	}
	ann.transcript(said...)
	ann.shows("#older-text", "This is where the history begins")
	ann.check()
}

// TestChatReadsAndWrites: a user that reads far above is not torn away by others, and is at the end after writing.
func TestChatReadsAndWrites(t *testing.T) {
	d := startPerchd(t)
	c := newCable(t, d.addr)
	ann, bob := openChat(t, "http://"+c.addr+"/chat", "Ann"), openChat(t, d.http("/chat"), "Bob")
	said := bob.chatters(60)
	ann.transcript(said...)
	ann.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('log').scrollTop = 10`))
	ann.until(`!document.getElementById('jump').hidden`)
	bob.says("news")
	ann.shows("#jump-text", "1 new message")
	ann.until(`document.getElementById('log').scrollTop === 10`)
	ann.says("an answer")
	ann.transcript(append(said, "Bob: news", "Ann: an answer")...)
	ann.until(`document.getElementById('jump').hidden &&
		((v) => v.scrollHeight - v.scrollTop - v.clientHeight < 80)(document.getElementById('log'))`)

	// A page that is asked for when the cable is cut is asked for again.
	ann.do(chromedp.Reload())
	ann.open()
	ann.until(`document.querySelectorAll('.message').length === 50 && [...document.querySelectorAll('.content')].at(-1).textContent === 'an answer'`)
	ann.until(`((v) => v.scrollTop > 400 && v.scrollHeight - v.scrollTop - v.clientHeight < 80)(document.getElementById('log'))`)
	c.deaf.Store(true)
	ann.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('log').scrollTop = 0`))
	ann.until(`document.getElementById('state').dataset.state === 'waiting'`)
	c.set(false)
	ann.open()
	ann.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('log').scrollTop = 100`))
	ann.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('log').scrollTop = 0`))
	ann.transcript(append(said, "Bob: news", "Ann: an answer")...)
	ann.checkButLosses()
}

// TestChatHint: a user with a keyboard sees what its keys do.
func TestChatHint(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	ann.do(chromedp.EmulateViewport(1440, 900))
	ann.until(`((e) => e.textContent.includes('Shift+Enter begins a new line') && e.offsetHeight > 10)(document.getElementById('text-hint'))`)
	ann.check()
}

// TestChatDirection: names that are written from right to left turn nothing around them, wherever they stand.
func TestChatDirection(t *testing.T) {
	d := startPerchd(t)
	const name, room = "אדה", "חדר תה"
	ann := openChat(t, d.http("/chat"), "Ann")
	ada := openChat(t, d.http("/chat"), name)
	alone := func(selector, name string) {
		t.Helper()
		ann.until(fmt.Sprintf(`[...document.querySelectorAll(%s)].some((e) => e.textContent === %s && getComputedStyle(e).unicodeBidi === 'isolate')`,
			quoted(selector+" bdi, bdi"+selector), quoted(name)))
	}
	alone("#messages .notice", name)
	alone(".people .name, bdi.name", name)
	ada.types("x")
	alone("#typing", name)
	ada.says("y")
	alone(".sender, bdi.sender", name)
	ann.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.message .reply').click()`))
	alone("#replying-name, bdi#replying-name", name)
	ann.join(room, "")
	alone("#ask-title", room)
	ann.click("#ask-yes")
	alone("#room-title", room)
	alone("#rooms .name, bdi.name", room)
	ann.until(fmt.Sprintf(`document.title === %s`, quoted("#\u2068"+room+"\u2069 · Perch")))
	ann.until(fmt.Sprintf(`document.getElementById('text').placeholder === %s`, quoted("Message #\u2068"+room+"\u2069")))
	ann.click("#menu-leave")
	alone("#nowhere", room)
	ann.check()
	ada.check()
}
