package endpoint

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
)

// failing is an endpoint whose messages name the error they want.
func failing(w *world) {
	w.srv.Handle("/ws/failing", w.realm.Handler(Endpoint{
		Name: "/ws/failing",
		Message: func(conn perch.Conn, _ *Client, typ string, m protocol.Message) error {
			switch typ {
			case "ok":
				send(conn, protocol.NewObject(nil, "done").ID(m.ID()))
				return nil
			case "broken":
				return errors.New("the secret is 42")
			}
			return &protocol.Error{Code: protocol.Code(typ)}
		},
	}))
}

// TestErrors is what a client is told of a message that is wrong, and that it may stay.
func TestErrors(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.MaxErrors = -1 }, failing)
	c := w.dial("/ws/failing")
	for _, tt := range []struct {
		message string
		code    protocol.Code
		id      any
	}{
		{`{`, protocol.CodeInvalidJSON, nil},
		{``, protocol.CodeInvalidJSON, nil},
		{`[]`, protocol.CodeNotAnObject, nil},
		{`{"type":"ok","x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, protocol.CodeTooDeep, nil},
		{`{}`, protocol.CodeMissingField, nil},
		{`{"type":null,"id":1}`, protocol.CodeMissingField, 1},
		{`{"Type":"ok","id":1}`, protocol.CodeMissingField, 1},
		{`{"type":1,"id":"a"}`, protocol.CodeWrongType, "a"},
		{`{"type":"ok","id":{}}`, protocol.CodeWrongType, nil},
		{`{"type":"ok","id":"` + strings.Repeat("i", protocol.MaxScalar+1) + `"}`, protocol.CodeTooLong, nil},
		{`{"type":"` + strings.Repeat("t", protocol.MaxType+1) + `"}`, protocol.CodeTooLong, nil},
		{`{"type":"room_full","id":-7}`, protocol.CodeRoomFull, -7},
		{`{"type":"broken","id":"b"}`, protocol.CodeInternal, "b"},
	} {
		c.say(tt.message)
		got := c.hear()
		if got["type"] != "error" || got["code"] != string(tt.code) || !like(got["id"], tt.id) || got["message"] == "" {
			t.Errorf("%.60s: got %v, want %v with id %v", tt.message, got, tt.code, tt.id)
		}
		w.meter.saw(t, "/ws/failing "+string(tt.code))
	}
	c.Send(wstest.Binary([]byte(`{"type":"ok"}`)))
	if got := c.hear()["code"]; got != "not_text" {
		t.Errorf("binary: %v", got)
	}
	c.say(`{"type":"ok","id":3,"unknown":{"field":[]}}`)
	c.expect(`{"type":"done","id":3}`)
	w.meter.saw(t, "/ws/failing ok")
	if !w.log.contains("the secret is 42") {
		t.Error("a fault of ours is not logged")
	}
}

// TestTooManyErrors: a client may make so many in a minute, and then one more is its last.
func TestTooManyErrors(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.MaxErrors = 3 }, failing)
	c := w.dial("/ws/failing")
	fail := func(messages ...string) {
		t.Helper()
		for _, m := range messages {
			c.say(m)
			if got := c.hear()["type"]; got != "error" {
				t.Fatalf("%s: answer of type %v", m, got)
			}
		}
	}
	fail(`{`, `{}`, `{"type":"x"}`)
	w.later(time.Minute)
	fail(`{`, `{}`, `{"type":"x"}`)
	for range 20 { // ours are not the client's
		fail(`{"type":"broken"}`, `{"type":"busy"}`, `{"type":"queue_full"}`)
	}
	c.say(`{"type":"ok"}`)
	c.expect(`{"type":"done"}`)
	w.later(time.Minute - time.Millisecond)
	fail(`{"type":"x"}`)
	c.closed(frame.ClosePolicyViolation, "too many errors")
}

// TestClose: an endpoint hears of the end of those it was told of, or that it waited for, and of no others.
func TestClose(t *testing.T) {
	ended := make(chan string, 8)
	w := newWorld(t, required, func(w *world) {
		add := func(path string, first bool) {
			e := Endpoint{
				Name:    path,
				Message: func(perch.Conn, *Client, string, protocol.Message) error { return nil },
				Close: func(_ perch.Conn, c *Client, err *perch.CloseError) {
					ended <- fmt.Sprint(path, " ", c.Identity().Subject, " ", err.Code)
				},
			}
			if first {
				e.First = func(perch.Conn, *Client, protocol.Message) error { return nil }
			}
			w.srv.Handle(path, w.realm.Handler(e))
		}
		add("/ws/x", false)
		add("/ws/y", true)
	})
	for _, target := range []string{"/ws/x", "/ws/y"} {
		c := w.dial(target, "Authorization: Bearer x")
		c.hear()
		c.AnswerClose(frame.ClosePolicyViolation)
	}
	w.dial("/ws/x?token=" + w.token("a", time.Hour)).CloseHandshake(4000)
	if got, want := wstest.Receive(t, "an end", ended), "/ws/x a 4000"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.dial("/ws/y").CloseHandshake(4001)
	if got, want := wstest.Receive(t, "an end", ended), "/ws/y  4001"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// suspending is an endpoint that is busy from "wait" on, until the test calls what it finds in resume.
func suspending(resume chan<- func()) func(w *world) {
	return func(w *world) {
		w.srv.Handle("/ws/suspending", w.realm.Handler(Endpoint{
			Name: "/ws/suspending",
			Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
				send(conn, protocol.NewObject(nil, "did").ID(m.ID()))
				switch typ {
				case "wait":
					c.Suspend()
					ref := conn.Ref()
					resume <- func() { _ = ref.Do(c.Resume) }
				case "close":
					c.Close(conn, perch.CloseNormal, "bye")
				}
				return nil
			},
		}))
	}
}

// did expects an answer for each of the ids, in order.
func (p peer) did(first, last int) {
	p.t.Helper()
	for id := first; id <= last; id++ {
		p.expect(fmt.Sprintf(`{"type":"did","id":%d}`, id))
	}
}

func TestSuspend(t *testing.T) {
	resume := make(chan func(), 1)
	w := newWorld(t, nil, suspending(resume))
	c := w.dial("/ws/suspending")
	c.say(`{"type":"x","id":1}`, `{"type":"wait","id":2}`)
	c.did(1, 2)
	// As many wait as may, one of them to suspend it again.
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
	wstest.Receive(t, "a suspension", resume)()
	c.did(3, 10)
	c.say(`{"type":"close","id":35}`, `{"type":"behind the close","id":36}`)
	c.Send(wstest.Ping("all is there"))
	c.ExpectPong("all is there")
	wstest.Receive(t, "another suspension", resume)()
	c.did(11, 35)
	c.closed(frame.CloseNormal, "bye")
	if w.meter.knows("/ws/suspending behind the close") {
		t.Error("a message was handled after the close")
	}
}

// TestSuspendSize: the bytes that wait are bounded too.
func TestSuspendSize(t *testing.T) {
	resume := make(chan func(), 1)
	w := newWorld(t, nil, suspending(resume))
	c := w.dial("/ws/suspending")
	c.say(`{"type":"wait","id":1}`)
	c.did(1, 1)
	pad := strings.Repeat("x", maxBacklogSize/2)
	for id := 2; id <= 3; id++ {
		c.say(fmt.Sprintf(`{"type":"x","id":%d,"pad":%q}`, id, pad))
	}
	c.say(`{"type":"x","id":4}`)
	if got := c.hear(); got["code"] != "busy" || !like(got["id"], 4) {
		t.Fatalf("got %v, want busy", got)
	}
	wstest.Receive(t, "a suspension", resume)()
	c.did(2, 3)
	// What is handled makes place for more.
	c.say(`{"type":"wait","id":5}`, `{"type":"wait","id":6,"pad":"`+pad+`"}`, `{"type":"x","id":7,"pad":"`+pad+`"}`)
	c.Send(wstest.Ping("all is there"))
	c.did(5, 5)
	c.ExpectPong("all is there")
	wstest.Receive(t, "a suspension", resume)()
	c.did(6, 6)
	c.say(`{"type":"x","id":8}`)
	c.Send(wstest.Ping("all is there"))
	c.ExpectPong("all is there")
	wstest.Receive(t, "a suspension", resume)()
	c.did(7, 8)
}

// TestSuspendFirst: what comes behind a first message that takes its time is not the first.
func TestSuspendFirst(t *testing.T) {
	resume := make(chan func(), 1)
	w := newWorld(t, nil, func(w *world) {
		w.srv.Handle("/ws/slow", w.realm.Handler(Endpoint{
			Name: "/ws/slow",
			First: func(conn perch.Conn, c *Client, _ protocol.Message) error {
				c.Suspend()
				ref := conn.Ref()
				resume <- func() { _ = ref.Do(c.Resume) }
				return nil
			},
			Message: func(conn perch.Conn, _ *Client, typ string, _ protocol.Message) error {
				send(conn, protocol.NewObject(nil, "did").String("what", typ))
				return nil
			},
		}))
	})
	c := w.dial("/ws/slow?token=" + w.token("a", time.Hour))
	c.say(`{}`, `{"type":"second"}`)
	again := wstest.Receive(t, "a suspension", resume)
	again()
	c.expect(`{"type":"did","what":"second"}`)
	again() // it is not suspended
	w.later(DefaultFirstFrame)
	c.say(`{"type":"third"}`)
	c.expect(`{"type":"did","what":"third"}`)
}

// TestClosedWhileSuspended: what waits is let go, and Resume finds nobody.
func TestClosedWhileSuspended(t *testing.T) {
	resume := make(chan func(), 1)
	w := newWorld(t, nil, suspending(resume))
	c := w.dial("/ws/suspending")
	c.say(`{"type":"wait","id":1}`, `{"type":"x","id":2}`)
	c.did(1, 1)
	c.Reset()
	wstest.Eventually(t, "the connection is gone", func() bool { return w.srv.Stats().Connections == 0 })
	wstest.Receive(t, "a suspension", resume)()
}
