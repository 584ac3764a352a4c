//go:build linux

package interop

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// listed is a JavaScript expression for the entry of a room in the list, by what the room is called.
func listed(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#rooms li')].find((li) => li.querySelector('.name').textContent === %s)`, quoted(name))
}

// makes has a room made by its name typed and the question answered.
func (g *guest) makes(room, password string) {
	g.t.Helper()
	g.join(room, password)
	g.shows("#ask-title", "Create "+room+"?")
	g.click("#ask-yes")
	g.shows("#room-name", room)
}

// chooses takes a room from the list.
func (g *guest) chooses(name string) {
	g.t.Helper()
	g.do(chromedp.Evaluate[chromedp.Void](listed(name) + `.querySelector('button').click()`))
	g.shows("#room-name", name)
}

func (g *guest) draft(text string) {
	g.t.Helper()
	g.until(fmt.Sprintf(`document.getElementById('text').value === %s`, quoted(text)))
}

// TestChatRoomsLive: the list of a user in another room has new rooms, their locks, counts and news, and loses what is
// no more.
func TestChatRoomsLive(t *testing.T) {
	d := startPerchd(t)
	ann, bob := openChat(t, d.http("/chat"), "Ann"), openChat(t, d.http("/chat"), "Bob")
	bob.makes("tea", "Darjeeling")
	for _, g := range []*guest{ann, bob} { // its maker sees the lock too
		g.until(listed("tea") + `?.querySelector('.lock').checkVisibility()`)
		g.until(listed("tea") + `.querySelector('.count').textContent === '1'`)
		g.until(listed("General Chat") + `.querySelector('.count').textContent === '1'`)
	}
	ann.until(`!` + listed("tea") + `.querySelector('.news').checkVisibility()`)
	bob.says("Is there anybody?")
	ann.until(listed("tea") + `.querySelector('.news').checkVisibility()`)
	bob.until(`!` + listed("tea") + `.querySelector('.news').checkVisibility()`)

	// Who did not make it cannot delete it.
	ann.do(chromedp.Evaluate[chromedp.Void](listed("tea") + `.querySelector('button').click()`))
	ann.do(chromedp.SendKeys(chromedp.ID("password-text"), "Darjeeling\r"))
	ann.shows("#room-name", "tea")
	ann.until(listed("tea") + `.querySelector('.count').textContent === '2' && document.getElementById('menu-delete').hidden`)
	bob.until(`!document.getElementById('menu-delete').hidden`)
	bob.click("#menu-delete")
	bob.shows("#ask-title", "Delete tea?")
	bob.click("#ask-cancel")
	bob.until(`!document.getElementById('ask').open && document.getElementById('room-name').textContent === 'tea'`)
	bob.click("#menu-delete")
	bob.click("#ask-yes")
	bob.shows("#nowhere", "You have deleted tea")
	ann.shows("#messages .notice", "This room was closed: deleted by its owner")
	for _, g := range []*guest{ann, bob} {
		g.until(listed("tea") + ` === undefined && document.getElementById('text').disabled`)
	}
	ann.chooses("General Chat")
	ann.click("#menu-leave")
	ann.shows("#nowhere", "You have left General Chat")
	ann.check()
	bob.check()
}

// TestChatTypedName: a name that is typed leads to the room of that name, or to a question.
func TestChatTypedName(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	ann.join(" RANDOM  talk", "")
	ann.shows("#room-name", "Random Talk")
	ann.join("general", "")
	ann.shows("#room-name", "General Chat")
	ann.join("tea", "")
	ann.shows("#ask-title", "Create tea?")
	ann.click("#ask-cancel")
	ann.until(`document.getElementById('room-name').textContent === 'General Chat' && !document.getElementById('text').disabled`)
	ann.join("rand0m", "")
	ann.shows("#ask-title", "Did you mean Random Talk?")
	ann.click("#ask-yes")
	ann.shows("#room-name", "Random Talk")
	ann.join("general", "not needed")
	ann.shows("#ask-title", "General Chat is open to everybody")
	ann.click("#ask-yes")
	ann.shows("#room-name", "General Chat")
	ann.join("a\u202eb", "")
	ann.shows("#toast", "A room cannot be called that")
	ann.check()
}

// TestChatDrafts: what was not sent stays with its room, over a reload too.
func TestChatDrafts(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	ann.types("for general")
	ann.chooses("Random Talk")
	ann.draft("")
	ann.types("for random")
	ann.chooses("General Chat")
	ann.draft("for general")
	ann.do(chromedp.Reload())
	ann.open()
	ann.draft("for general")
	ann.types("\r")
	ann.transcript("Ann: for general")
	ann.draft("")
	ann.do(chromedp.Reload())
	ann.open()
	ann.draft("")
	ann.chooses("Random Talk")
	ann.draft("for random")

	// Who leaves takes them along.
	ann.click("#leave")
	ann.enter()
	ann.chooses("Random Talk")
	ann.draft("")
	ann.check()
}

// TestChatLinks: a link leads into its room, and Back to the room before.
func TestChatLinks(t *testing.T) {
	d := startPerchd(t)
	for i, link := range []string{"/chat?room=random", "/chat#random", "/chat?room=Random+Talk", "/chat#Random%20Talk"} {
		ann := openChat(t, d.http(link), "Ann")
		ann.shows("#room-name", "Random Talk")
		ann.until(`location.search === '?room=random' && location.hash === ''`)
		tea := fmt.Sprint("tea & milk ", i)
		ann.makes(tea, "")
		ann.until(fmt.Sprintf(`new URLSearchParams(location.search).get('room') === '%s'`, tea))
		ann.chooses("General Chat")
		ann.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
		ann.shows("#room-name", tea)
		ann.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
		ann.shows("#room-name", "Random Talk")
		ann.do(chromedp.Evaluate[chromedp.Void](`history.forward()`))
		ann.shows("#room-name", tea)
		ann.click("#menu-open")
		ann.check()
	}
	bob := openChat(t, d.http("/chat#coffee"), "Bob")
	bob.shows("#ask-title", "Create coffee?")
	bob.click("#ask-cancel")
	bob.until(`document.getElementById('room-name').textContent === 'General Chat' && location.search === '?room=general'`)
	bob.check()
}

// TestChatCalled: a user who gets another name than the one they asked for is told so, and names do not turn the text
// around them.
func TestChatCalled(t *testing.T) {
	d := startPerchd(t)
	ann := openChat(t, d.http("/chat"), "Ann")
	other := openChat(t, d.http("/chat"), "Ann")
	other.shows("#messages .notice", "You are called Ann_2 here")
	other.until(`document.getElementById('me-name').textContent === 'Ann_2'`)
	openChat(t, d.http("/chat"), "אדה")
	ann.shows("#messages .notice", "אדה joined")
	ann.until(`[...document.querySelectorAll('#messages .notice bdi')].some((e) => e.textContent === 'אדה')`)
	ann.until(`document.querySelectorAll('#messages .notice').length > 0 && ![...document.querySelectorAll('.notice')].some((e) => e.textContent.includes('called'))`)
	ann.check()
	other.check()
}

// TestChatWaiting: a message that is not acknowledged shows that something is wrong, long before the connection is
// given up.
func TestChatWaiting(t *testing.T) {
	d := startPerchd(t)
	c := newCable(t, d.addr)
	ann := openChat(t, "http://"+c.addr+"/chat", "Ann")
	ann.until(`document.getElementById('state-text').textContent === 'Connected'`)
	c.deaf.Store(true)
	ann.says("hello?")
	ann.shows(".fate-text", "Sending")
	ann.until(`document.getElementById('state').dataset.state === 'waiting' && document.getElementById('state-text').textContent === 'Waiting for the server'
		&& document.getElementById('banner').hidden`) // the socket is still open
	ann.shows(".fate-text", "Waits for an answer")
	c.set(false)
	ann.transcript("Ann: hello?")
	ann.until(`document.getElementById('state-text').textContent === 'Connected'`)
	ann.checkButLosses()
}

// TestChatIdsAreFresh: a page that is loaded again does not begin anew with the ids of its messages.
func TestChatIdsAreFresh(t *testing.T) {
	d := startPerchd(t)
	g := openTab(t, d.http("/chat"))
	id := func() string {
		got, err := chromedp.Run(g.ctx, chromedp.Evaluate[string](`import('/static/chat-outbox.js').then(({ Outbox }) => new Outbox().add('r', {}).id)`, chromedp.EvalAwaitPromise))
		if err != nil || got == "" {
			t.Fatalf("id %q, %v", got, err)
		}
		return got
	}
	first := id()
	g.do(chromedp.Reload())
	if second := id(); first == second {
		t.Errorf("the first message has the id %s twice", first)
	}
}

// TestChatRoomsLeft: a room that was left shows as the server lists it, also if the server has nothing new to say of
// it, and the room that was entered is to be seen in a long list.
func TestChatRoomsLeft(t *testing.T) {
	d := startPerchd(t)
	g := openTab(t, d.http("/chat"))
	got, err := chromedp.Run(g.ctx, chromedp.Evaluate[string](`import('/static/chat-rooms.js').then(({ Rooms }) => {
		for (const id of ['welcome', 'app']) document.getElementById(id).hidden = id === 'welcome';
		document.getElementById('side').classList.add('open');
		const rooms = new Rooms({ choose() {}, ask() {} }), list = document.getElementById('rooms'), said = [];
		const room = (id, user_count) => ({ room_id: id, room_name: id, user_count, offset: 0 });
		const see = () => said.push([...list.children].slice(0, 2).map((li) => li.querySelector('.count').textContent).join());
		rooms.list([room('a', 1), room('b', 3), ...Array.from({ length: 40 }, (_, i) => room('room ' + i, 0))], 1);
		rooms.enter(room('a', 2)); see();
		rooms.enter(room('b', 4)); see();
		rooms.change({ sequence: 2, rooms: [room('a', 7)], gone: [] }); rooms.enter(room('a', 8)); see();
		rooms.enter(room('room 39', 1)); see();
		const view = list.getBoundingClientRect(), at = list.querySelector('[aria-current]').getBoundingClientRect();
		said.push(at.top >= view.top - 1 && at.bottom <= view.bottom + 1 ? 'seen' : 'hidden');
		return said.join(' ');
	})`, chromedp.EvalAwaitPromise))
	if want := "2,3 1,4 8,3 7,3 seen"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
