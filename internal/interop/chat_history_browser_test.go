//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"
)

// fillRoom says n messages in a room, "0", "1" …, each acknowledged.
func fillRoom(t *testing.T, d *daemon, room string, n int) {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial(d.ws("/ws/room/"+room), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer conn.Close()
	say := func(v any, answer string) {
		if err := conn.WriteJSON(v); err != nil {
			t.Fatal(err)
		}
		for {
			var got struct{ Type string }
			if err := conn.ReadJSON(&got); err != nil {
				t.Fatal(err)
			}
			if got.Type == answer {
				return
			}
		}
	}
	say(map[string]any{"type": "join", "username": "Bot"}, "room_joined")
	for i := range n {
		say(map[string]any{"type": "chat_message", "message": fmt.Sprint(i)}, "message_sent")
	}
}

// spans waits until the page shows the messages from … to, all of them and in order.
func (g *guest) spans(from, to int) {
	g.t.Helper()
	var want []string
	for i := from; i <= to; i++ {
		want = append(want, fmt.Sprint(i))
	}
	list, _ := json.Marshal(want)
	g.until(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll('.message .content')].map((e) => e.textContent)) === JSON.stringify(%s)`, list))
}

func (g *guest) scroll(to string) {
	g.t.Helper()
	g.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`((v) => { v.scrollTop = %s; })(document.getElementById('log'))`, to)))
}

// TestChatHistory reads a room back to its beginning, and comes back to its end.
func TestChatHistory(t *testing.T) {
	const said = 620 // more than the page keeps, which is 500
	d := startPerchd(t, "--messages-per-second", "100000", "--message-burst", "100000")
	fillRoom(t, d, "general", said)
	ann := openChat(t, d.http("/chat"), "Ann")
	ann.spans(said-50, said-1)
	if ok, err := chromedp.Run(ann.ctx, chromedp.Evaluate[bool](`!document.getElementById('older-button').hidden`)); err != nil || !ok {
		t.Errorf("no way to older messages: %v", err)
	}
	from := said - 50
	for from > 0 {
		first := fmt.Sprint(from)
		ann.scroll("0")
		ann.until(fmt.Sprintf(`document.querySelector('.message .content').textContent !== '%s'`, first))
		if _, err := chromedp.Run(ann.ctx, chromedp.Poll[chromedp.Void](`document.getElementById('older').dataset.state !== 'asked'`, chromedp.WithPollingTimeout(patience))); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(ann.ctx, chromedp.Evaluate[int](`Number(document.querySelector('.message .content').textContent)`))
		if err != nil || got >= from {
			t.Fatalf("a page from %d on, %v, after %d", got, err, from)
		}
		from = got
	}
	ann.spans(0, 499) // what is far below is no longer kept
	ann.shows("#older-text", "This is where the history begins")

	// Downwards page by page, and at once.
	ann.scroll("v.scrollHeight")
	ann.until(`Number([...document.querySelectorAll('.message .content')].at(-1).textContent) > 499`)
	ann.scroll("0")
	ann.until(`!document.getElementById('jump').hidden`)
	ann.click("#jump")
	ann.until(fmt.Sprintf(`[...document.querySelectorAll('.message .content')].at(-1).textContent === '%d'`, said-1))
	ann.until(`((v) => v.scrollHeight - v.scrollTop - v.clientHeight < 80)(document.getElementById('log'))`)

	// What is said then comes as ever.
	fillRoom(t, d, "general", 1)
	ann.until(`[...document.querySelectorAll('.message .content')].at(-1).textContent === '0'`)
	ann.check()
}
