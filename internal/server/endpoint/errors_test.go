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

// failing is an endpoint whose messages name the error that they want.
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

// TestErrors: the error that a client gets for each wrong message. The client may stay.
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

// TestTooManyErrors: a client may make so many errors in a minute; one more ends its connection.
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
	for range 20 { // our faults do not count as the client's
		fail(`{"type":"broken"}`, `{"type":"busy"}`, `{"type":"queue_full"}`)
	}
	c.say(`{"type":"ok"}`)
	c.expect(`{"type":"done"}`)
	w.later(time.Minute - time.Millisecond)
	fail(`{"type":"x"}`)
	c.closed(frame.ClosePolicyViolation, "too many errors")
}

// TestClose: Close is called for clients that were opened, or that could have sent a first message, and for no
// others.
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
