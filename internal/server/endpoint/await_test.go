package endpoint

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
)

// asked is a question of a client of /ws/asking that waits for the answer.
type asked struct {
	what   string // the type of the message
	answer func(int, error)
}

// asks is an endpoint that answers "did". At "wait" it waits for a number first, at "twice" for two, at "ever" for
// one without a deadline. Answers that were undone come through undone.
func asks(questions chan<- asked, undone chan<- int) func(w *world) {
	ask := func(conn perch.Conn, c *Client, typ string, id []byte, then func(perch.Conn, *Client, int, error) error) error {
		q := Wait[int]{
			ID:    id,
			Start: func(_ perch.Conn, answer func(int, error)) { questions <- asked{typ, answer} },
			Then:  then,
			Undo:  func(v int, _ error) { undone <- v },
		}
		if typ == "ever" {
			q.Patience = -1
		}
		return Await(conn, c, q)
	}
	tell := func(conn perch.Conn, _ *Client, v int, err error) error {
		if err != nil {
			return err
		}
		send(conn, protocol.NewObject(nil, "answer").Int("v", int64(v)))
		return nil
	}
	handle := func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
		send(conn, protocol.NewObject(nil, "did").ID(m.ID()))
		switch typ {
		case "wait", "ever":
			return ask(conn, c, typ, m.ID(), tell)
		case "twice":
			id := append([]byte(nil), m.ID()...)
			return ask(conn, c, typ, id, func(conn perch.Conn, c *Client, v int, err error) error {
				if err := tell(conn, c, v, err); err != nil {
					return err
				}
				return ask(conn, c, typ, id, tell)
			})
		case "close":
			c.Close(conn, perch.CloseNormal, "bye")
		}
		return nil
	}
	return func(w *world) {
		w.srv.Handle("/ws/asking", w.realm.Handler(Endpoint{Name: "/ws/asking", Message: handle}))
		w.srv.Handle("/ws/first-asks", w.realm.Handler(Endpoint{
			Name: "/ws/first-asks",
			First: func(conn perch.Conn, c *Client, m protocol.Message) error {
				return ask(conn, c, "first", m.ID(), func(conn perch.Conn, c *Client, v int, err error) error {
					if v < 0 {
						return &protocol.Error{Code: protocol.CodeBadRequest}
					}
					return tell(conn, c, v, err)
				})
			},
			Message: handle,
		}))
	}
}

// asker is a world with these endpoints.
type asker struct {
	*world
	questions chan asked
	undone    chan int
}

func newAsker(t *testing.T, prepare func(w *world, c *Config)) asker {
	t.Helper()
	a := asker{questions: make(chan asked, 64), undone: make(chan int, 64)}
	a.world = newWorld(t, prepare, asks(a.questions, a.undone))
	return a
}

// question returns the next question.
func (a asker) question() asked {
	a.t.Helper()
	return wstest.Receive(a.t, "a question", a.questions)
}

// waiting makes a client that waits for the answer to message 1, and returns that question, too. The client has sent
// the messages behind after it.
func (a asker) waiting(query string, behind ...string) (peer, asked) {
	a.t.Helper()
	c := a.dial("/ws/asking" + query)
	c.say(append([]string{`{"type":"wait","id":1}`}, behind...)...)
	c.did(1, 1)
	return c, a.question()
}

// did expects an answer for each of the ids, in order.
func (p peer) did(first, last int) {
	p.t.Helper()
	for id := first; id <= last; id++ {
		p.expect(fmt.Sprintf(`{"type":"did","id":%d}`, id))
	}
}

// answered expects these answers, in order.
func (p peer) answered(values ...int) {
	p.t.Helper()
	for _, v := range values {
		p.expect(fmt.Sprintf(`{"type":"answer","v":%d}`, v))
	}
}

// here waits until everything that the client has sent has arrived at the server.
func (p peer) here() {
	p.t.Helper()
	p.Send(wstest.Ping("all is there"))
	p.ExpectPong("all is there")
}

// TestAwait: messages that a client sends while it waits are handled afterwards, in order. Only a limited number may
// wait.
func TestAwait(t *testing.T) {
	w := newAsker(t, nil)
	c := w.dial("/ws/asking")
	c.say(`{"type":"x","id":1}`, `{"type":"wait","id":2}`)
	c.did(1, 2)
	// As many messages as may wait, one of which needs an answer of its own.
	for id := 3; id < 3+maxBacklog; id++ {
		typ := "x"
		if id == 10 {
			typ = "wait"
		}
		c.say(fmt.Sprintf(`{"type":%q,"id":%d}`, typ, id))
	}
	c.say(`{"type":"x","id":"over"}`)
	if got := c.hear(); got["code"] != "busy" || got["id"] != "over" {
		t.Fatalf("got %v, want busy", got)
	}
	w.question().answer(1, nil)
	c.answered(1)
	c.did(3, 10)
	c.say(`{"type":"close","id":35}`, `{"type":"behind the close","id":36}`)
	c.here()
	w.question().answer(2, nil)
	c.answered(2)
	c.did(11, 35)
	c.closed(frame.CloseNormal, "bye")
	if w.meter.knows("/ws/asking behind the close") {
		t.Error("a message was handled after the close")
	}
	if n := w.realm.backlogs.Stats().Held; n != 0 {
		wstest.Eventually(t, "nothing waits any more", func() bool { return w.realm.backlogs.Stats().Held == 0 })
	}
}

// TestAwaitAtOnce: if the answer comes during Start, Then has run before Await returns.
func TestAwaitAtOnce(t *testing.T) {
	var order []string
	w := newWorld(t, nil, func(w *world) {
		w.srv.Handle("/ws/once", w.realm.Handler(Endpoint{
			Name: "/ws/once",
			Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
				order = nil
				err := Await(conn, c, Wait[int]{
					Start: func(_ perch.Conn, answer func(int, error)) {
						var other sync.WaitGroup
						other.Go(func() { answer(7, nil) })
						other.Wait()
						answer(8, nil) // a second answer is ignored
					},
					Then: func(_ perch.Conn, c *Client, v int, _ error) error {
						order = append(order, fmt.Sprint("then ", v, c.suspended()))
						return &protocol.Error{Code: protocol.CodeBadRequest}
					},
					Undo: func(int, error) { t.Error("undone") },
				})
				order = append(order, fmt.Sprint("await ", c.suspended()))
				send(conn, protocol.NewObject(nil, "order").Strings("order", order))
				return err
			},
		}))
	})
	c := w.dial("/ws/once")
	c.say(`{"type":"x","id":1}`)
	c.expect(`{"type":"order","order":["then 7 false","await false"]}`)
	if got := c.hear(); got["code"] != "bad_request" || !like(got["id"], 1) {
		t.Errorf("the error of Then: %v", got)
	}
	if w.realm.deadlines.heap != nil {
		t.Error("a deadline was set for nothing")
	}
}

// TestAwaitBytes: the bytes that wait are bounded, too.
func TestAwaitBytes(t *testing.T) {
	w := newAsker(t, nil)
	c, q := w.waiting("")
	pad := strings.Repeat("x", maxBacklogSize/2)
	for id := 2; id <= 3; id++ {
		c.say(fmt.Sprintf(`{"type":"x","id":%d,"pad":%q}`, id, pad))
	}
	c.say(`{"type":"x","id":4}`)
	if got := c.hear(); got["code"] != "busy" || !like(got["id"], 4) {
		t.Fatalf("got %v, want busy", got)
	}
	q.answer(1, nil)
	c.answered(1)
	c.did(2, 3)
	// When messages are handled there is room for more.
	c.say(`{"type":"wait","id":5}`, `{"type":"wait","id":6,"pad":"`+pad+`"}`, `{"type":"x","id":7,"pad":"`+pad+`"}`)
	c.did(5, 5)
	c.here()
	w.question().answer(2, nil)
	c.answered(2)
	c.did(6, 6)
	c.say(`{"type":"x","id":8}`)
	c.here()
	w.question().answer(3, nil)
	c.answered(3)
	c.did(7, 8)
}

// TestAwaitShare: clients of one address that fill their share leave room for others.
func TestAwaitShare(t *testing.T) {
	w := newAsker(t, func(_ *world, c *Config) { c.MaxWaiting = 64 << 10 })
	say := func(c peer, size int) bool { // reports whether it waits
		c.say(`{"type":"x","pad":"` + strings.Repeat("x", size) + `"}`)
		c.Send(wstest.Ping("all is there"))
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpText {
			c.ExpectPong("all is there")
		}
		return f.Op == frame.OpPong
	}
	var greedy []peer
	for range 24 {
		c, _ := w.waiting("")
		for say(c, 1000) {
		}
		greedy = append(greedy, c)
	}
	used := w.realm.backlogs.Stats().Held
	if used > 32<<10 || used < 30<<10 {
		t.Errorf("%d bytes of one address wait, half of all may", used)
	}
	if c, _ := w.waiting("?token=" + w.token("ann", time.Hour)); !say(c, 10<<10) {
		t.Errorf("with %d bytes of one address a message of a user may not wait", used)
	}
	other := w.dial("/ws/asking") // a client that waits for nothing is not concerned
	other.say(`{"type":"x","id":1,"pad":"` + strings.Repeat("x", 60<<10) + `"}`)
	other.did(1, 1)
	for _, c := range greedy {
		c.Reset()
	}
	wstest.Eventually(t, "what they took is free", func() bool { return w.realm.backlogs.Stats().Held < 12<<10 })
	if c, _ := w.waiting(""); !say(c, 4000) {
		t.Error("a message may not wait although all is free")
	}
}

// TestAwaitLate: a client waits until its deadline, gets an error, and goes on; the late answer is undone, once.
func TestAwaitLate(t *testing.T) {
	w := newAsker(t, nil)
	c, q := w.waiting("", `{"type":"x","id":2}`)
	c.here()
	w.later(DefaultPatience - time.Millisecond)
	c.here()
	w.later(time.Millisecond)
	if got := c.hear(); got["code"] != "unavailable" || !like(got["id"], 1) {
		t.Fatalf("got %v, want unavailable", got)
	}
	c.did(2, 2)
	q.answer(7, nil)
	q.answer(8, nil)
	if got := wstest.Receive(t, "what is undone", w.undone); got != 7 {
		t.Errorf("%d is undone, want 7", got)
	}
	// One question has no deadline; and the next answer belongs to the next question.
	c.say(`{"type":"ever","id":3}`)
	c.did(3, 3)
	w.later(24 * time.Hour)
	c.here()
	q = w.question()
	q.answer(9, nil)
	q.answer(10, nil)
	c.answered(9)
	c.say(`{"type":"wait","id":4}`)
	c.did(4, 4)
	q.answer(11, nil)
	c.here()
	w.question().answer(12, nil)
	c.answered(12)
	if len(w.undone) != 0 {
		t.Errorf("%d more undone", len(w.undone))
	}
}

// TestAwaitTwice: an answer may lead to another question; later messages wait for both.
func TestAwaitTwice(t *testing.T) {
	w := newAsker(t, nil)
	c := w.dial("/ws/asking")
	c.say(`{"type":"twice","id":1}`, `{"type":"x","id":2}`)
	c.did(1, 1)
	w.question().answer(1, nil)
	c.answered(1)
	c.here()
	w.question().answer(2, &protocol.Error{Code: protocol.CodeBusy})
	if got := c.hear(); got["code"] != "busy" || !like(got["id"], 1) {
		t.Fatalf("got %v, want busy", got)
	}
	c.did(2, 2)
}

// TestAwaitFirst: a message behind a first message that waits is not the first. A first message that came in time may
// take long; if it is refused another one may come, unless the time for it is over.
func TestAwaitFirst(t *testing.T) {
	w := newAsker(t, nil)
	c, bad, worse := w.dial("/ws/first-asks?token="+w.token("a", time.Hour)), w.dial("/ws/first-asks"), w.dial("/ws/first-asks")
	questions := make(map[peer]asked)
	for _, p := range []peer{c, bad, worse} {
		p.say(`{}`)
		questions[p] = w.question()
		p.say(`{"type":"x","id":2}`)
	}
	questions[bad].answer(-1, nil)
	if got := bad.hear(); got["code"] != "bad_request" {
		t.Fatalf("got %v, want bad_request", got)
	}
	q := w.question() // the second message counted as a first one again
	w.later(DefaultPatience - time.Millisecond)
	q.answer(7, nil)
	bad.answered(7)
	questions[c].answer(8, nil)
	c.answered(8)
	c.did(2, 2)
	questions[worse].answer(9, nil)
	worse.answered(9)
	worse.did(2, 2)
	w.later(DefaultFirstFrame)
	for _, p := range []peer{c, bad, worse} {
		p.say(`{"type":"x","id":3}`)
		p.did(3, 3)
	}
	late := w.dial("/ws/first-asks")
	late.here()
	w.later(DefaultFirstFrame - time.Millisecond)
	late.say(`{}`)
	q = w.question()
	w.later(time.Second)
	late.here() // it came in time
	q.answer(-1, nil)
	late.hear()
	late.closed(CloseNoFirstFrame, "no first frame in time")
}

// TestAwaitClosed: when the connection closes all waiting messages are dropped, and the answer is undone when it
// comes.
func TestAwaitClosed(t *testing.T) {
	w := newAsker(t, nil)
	c, q := w.waiting("", `{"type":"x","id":2}`)
	c.here()
	c.Reset()
	wstest.Eventually(t, "the connection is gone", func() bool { return w.srv.Stats().Connections == 0 })
	if n := w.realm.backlogs.Stats().Held; n != 0 {
		t.Errorf("%d bytes still wait", n)
	}
	if n := len(w.undone); n != 0 {
		t.Errorf("%d undone before there was an answer", n)
	}
	q.answer(7, nil)
	q.answer(8, nil)
	if got := wstest.Receive(t, "what is undone", w.undone); got != 7 || len(w.undone) != 0 {
		t.Errorf("%d is undone, want 7", got)
	}
	w.later(time.Hour)
}

// TestAwaitRaces: answer, deadline and close come at once; the answer is used or undone, never both and never
// neither.
func TestAwaitRaces(t *testing.T) {
	w := newAsker(t, nil)
	for i := range 50 {
		c, q := w.waiting("")
		var all sync.WaitGroup
		all.Go(func() { q.answer(i, nil) })
		all.Go(func() { q.answer(i, nil) })
		if i%2 == 0 {
			all.Go(func() { w.later(DefaultPatience) })
		} else {
			all.Go(c.Reset)
		}
		all.Wait()
		if i%2 == 0 {
			got := c.hear()
			if got["type"] == "error" { // so the answer is undone
				if v := wstest.Receive(t, "what is undone", w.undone); v != i {
					t.Fatalf("%d undone, want %d", v, i)
				}
			} else if !like(got["v"], i) {
				t.Fatalf("got %v", got)
			}
			c.Reset()
		}
		wstest.Eventually(t, "the connection is gone", func() bool { return w.srv.Stats().Connections == 0 })
		for len(w.undone) > 0 {
			if v := <-w.undone; v != i {
				t.Fatalf("%d undone, want %d", v, i)
			}
		}
	}
}
