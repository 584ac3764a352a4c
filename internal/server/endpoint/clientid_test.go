package endpoint

import (
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func TestClientID(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/-42", "Cookie: session_id=crumbs; other=1")
	c.expect(`{"type":"connected","client_id":-42,"session_cookie":true}`) // and not what is in it
	for _, tt := range []struct{ message, want string }{
		{`{"type":"chat","message":"hello <b>","id":1}`, `{"type":"chat","user_id":"-42","message":"hello <b>","timestamp":` + timestamp + `,"id":1}`},
		{`{"type":"chat","message":"","user_id":"7"}`, `{"type":"chat","user_id":"-42","message":"","timestamp":` + timestamp + `}`},
		{`{"type":"chat","id":2}`, `{"type":"error","code":"missing_field","message":"*","field":"message","id":2}`},
		{`{"type":"chat","message":1}`, `{"type":"error","code":"wrong_type","message":"*","field":"message"}`},
		{`{"type":"chat","message":"` + strings.Repeat("x", maxChat+1) + `"}`, `{"type":"error","code":"too_long","message":"*","field":"message"}`},
		{`{"type":"ping","id":3}`, `{"type":"pong","timestamp":` + timestamp + `,"id":3}`},
		{`{"type":"shout","id":4}`, `{"type":"error","code":"unknown_type","message":"Unknown message type: shout","id":4}`},
		{`{"message":"x"}`, `{"type":"error","code":"missing_field","message":"*","field":"type"}`},
		{`{"x":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`, `{"type":"error","code":"too_deep","message":"*"}`},
	} {
		c.say(tt.message)
		c.expect(tt.want)
	}
	most := strings.Repeat("x", maxChat)
	c.say(`{"type":"chat","message":"` + most + `"}`)
	if got := c.hear()["message"]; got != most {
		t.Error("a message of the greatest length did not come back")
	}
	for _, text := range []string{"hello", "", `{"type":"chat"`, `[1]`, `"東京"`} {
		c.say(text)
		c.ExpectText("Echo: " + text)
	}
	for _, b := range []string{"\x00\x01\xff", "", `{"type":"ping"}`} {
		c.Send(wstest.Binary([]byte(b)))
		want := []byte(b)
		for i := range want {
			want[i] = b[len(b)-1-i]
		}
		c.ExpectMessage(frame.OpBinary, want)
	}
	if w.log.contains("crumbs") {
		t.Error("the cookie was logged")
	}
}

// TestClientIDForm: if the id is no integer there is no such page.
func TestClientIDForm(t *testing.T) {
	w := newWorld(t, nil, nil)
	for id, want := range map[string]string{
		"0": "0", "7": "7", "007": "7", "-7": "-7", "%37": "7",
		"9007199254740991": "9007199254740991", "-9007199254740991": "-9007199254740991", // JavaScript's largest
		"9007199254740992": `"9007199254740992"`, "-9007199254740992": `"-9007199254740992"`,
		"9223372036854775807": `"9223372036854775807"`, "-9223372036854775808": `"-9223372036854775808"`,
	} {
		w.dial("/ws/" + id).expect(`{"type":"connected","client_id":` + want + `}`)
	}
	for _, id := range []string{"a", "", "7a", "1.0", "1e3", "0x7", "9223372036854775808", "%20", "7/", "7%2f8", "chat2"} {
		c := wstest.Connect(t, w.srv.Addr().String())
		c.Write(wstest.Request("x", "/ws/"+id))
		if r := c.ReadResponse(); r.Status != 404 {
			t.Errorf("/ws/%s: status %d, want 404", id, r.Status)
		}
	}
}

// TestClientIDSubject: with a token a client must have the number that is its subject.
func TestClientIDSubject(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/007?token=" + w.token("7", time.Hour))
	c.expect(`{"type":"connected","client_id":7}`)
	c.say(`{"type":"chat","message":"x"}`)
	c.expect(`{"type":"chat","user_id":"7","message":"x","timestamp":"*"}`)
	for _, subject := range []string{"8", "ann", "007", "+7"} {
		c := w.dial("/ws/7?token=" + w.token(subject, time.Hour))
		c.expect(`{"type":"error","code":"token_wrong_subject","message":"token is for another subject"}`)
		c.closed(frame.ClosePolicyViolation, "Invalid user")
	}
}

// TestClientIDSubprotocol: chat.v1 wins over perch.v1, and neither is required.
func TestClientIDSubprotocol(t *testing.T) {
	w := newWorld(t, nil, nil)
	for offer, want := range map[string]string{
		"chat.v1":           "chat.v1",
		"perch.v1, chat.v1": "chat.v1",
		"perch.v1":          "perch.v1",
		"chat.v2":           "",
	} {
		c := wstest.Connect(t, w.srv.Addr().String())
		c.Write(wstest.Request("x", "/ws/7", "Sec-WebSocket-Protocol: "+offer))
		if r := c.ReadResponse(); r.Status != 101 || r.Header("Sec-WebSocket-Protocol") != want {
			t.Errorf("%s: status %d, chosen %q, want %q", offer, r.Status, r.Header("Sec-WebSocket-Protocol"), want)
		}
	}
}
