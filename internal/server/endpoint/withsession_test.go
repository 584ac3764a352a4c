package endpoint

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/session"
)

// sessionOf returns the JSON of a session with this data.
func sessionOf(user, data string) string {
	return fmt.Sprintf(`{"session_id":"*","connection_id":"*","user_id":%q,"created_at":%s,"last_accessed":%[2]s,"data":%s,"active":true}`,
		user, timestamp, data)
}

func TestWithSession(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/with-session?token="+w.token("ann", time.Hour), "User-Agent: Test/1")
	client := `"connected_at":` + timestamp + `,"ip_address":"127.0.0.1","user_agent":"Test/1"`
	created := c.expect(`{"type":"session_created","session_id":"*","session":` + sessionOf("ann", `{`+client+`}`) + `}`)
	key := created["session_id"].(string)
	if s, err := w.get(key); err != nil || !s.Authenticated {
		t.Fatalf("session %+v, %v", s, err)
	}
	for _, tt := range []struct{ message, want string }{
		{`{"type":"get_session","id":1}`, `{"type":"session_data","id":1,"session":` + sessionOf("ann", `{`+client+`}`) + `}`},
		{`{"type":"update_session","id":2,"data":{"theme":"dark","ip_address":null}}`,
			`{"type":"session_updated","id":2,"session":` + sessionOf("ann", `{"connected_at":`+timestamp+`,"theme":"dark","user_agent":"Test/1"}`) + `}`},
		{`{"type":"update_session","data":{"user_id":"bob","active":false}}`,
			`{"type":"session_updated","session":` + sessionOf("ann", `{"active":false,"connected_at":`+timestamp+`,"theme":"dark","user_agent":"Test/1","user_id":"bob"}`) + `}`},
		{`{"type":"update_session","id":3}`, `{"type":"error","id":3,"code":"missing_field","message":"*","field":"data"}`},
		{`{"type":"update_session","data":null}`, `{"type":"error","code":"missing_field","message":"*","field":"data"}`},
		{`{"type":"update_session","data":[]}`, `{"type":"error","code":"data_invalid","message":"*"}`},
		{`{"type":"update_session","data":"x"}`, `{"type":"error","code":"data_invalid","message":"*"}`},
		{`{"type":"ping","timestamp":17.5}`, `{"type":"pong","original_timestamp":17.5,"timestamp":` + timestamp + `}`},
		{`{"type":"nonsense","id":4}`, `{"type":"error","id":4,"code":"unknown_type","message":"Unknown message type: nonsense"}`},
	} {
		c.say(tt.message)
		c.expect(tt.want)
	}
	c.say(`{"type":"logout","id":5}`)
	c.expect(`{"type":"logged_out","id":5}`)
	c.closed(frame.CloseNormal, "")
	if _, err := w.get(key); err == nil {
		t.Error("the session is there after a logout")
	}
}

// TestSessionDataBound: data is bounded, and data over the bound changes nothing.
func TestSessionDataBound(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/with-session")
	c.hear()
	half := strings.Repeat("x", session.MaxData/2)
	c.say(`{"type":"update_session","data":{"a":"` + half + `"}}`)
	if got := c.hear()["type"]; got != "session_updated" {
		t.Fatalf("half of it: %v", got)
	}
	c.say(`{"type":"update_session","data":{"b":"` + half + `"}}`)
	c.expect(`{"type":"error","code":"data_too_large","message":"*"}`)
	c.say(`{"type":"get_session"}`)
	data := c.hear()["session"].(map[string]any)["data"].(map[string]any)
	if data["a"] != half || data["b"] != nil {
		t.Error("the data has changed")
	}
}

// TestWithSessionResume: the data written before is there again.
func TestWithSessionResume(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/with-session", "User-Agent: "+strings.Repeat("é", maxUserAgent))
	key := c.hear()["session_id"].(string)
	c.say(`{"type":"update_session","data":{"n":1,"ip_address":null,"connected_at":null}}`)
	data := c.hear()["session"].(map[string]any)["data"].(map[string]any)
	if ua := data["user_agent"]; ua != strings.Repeat("é", maxUserAgent/2) {
		t.Errorf("user agent %q", ua)
	}
	c.say(`{"type":"update_session","data":{"user_agent":null}}`)
	c.hear()
	c.Reset()
	wstest.Eventually(t, "it is detached", func() bool { return w.store.Stats().Attached == 0 })
	c = w.dial("/ws/with-session")
	c.hear()
	c.say(`{"type":"resume","session":"` + key + `","id":1}`)
	c.expect(`{"type":"session_data","resumed":true,"id":1,"session":` + sessionOf("", `{"n":1}`) + `}`)
	c.say(`{"type":"get_session"}`)
	c.expect(`{"type":"session_data","session":` + sessionOf("", `{"n":1}`) + `}`)
	if n := w.store.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions, want the one resumed", n)
	}
}

// TestSessionGone: an administrator has ended the session.
func TestSessionGone(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/with-session")
	key, err := session.ParseKey(c.hear()["session_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{`{"type":"get_session"}`, `{"type":"update_session","data":{}}`, `{"type":"logout"}`} {
		c.say(m)
		c.expect(`{"type":"error","code":"session_not_found","message":"*"}`)
	}
}
