package endpoint

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
)

// first is an endpoint whose clients must send a first message, as in the chat.
func first(w *world) {
	w.srv.Handle("/ws/first", w.realm.Handler(Endpoint{
		Name: "/ws/first",
		First: func(conn perch.Conn, c *Client, m protocol.Message) error {
			if _, err := m.String("name", 8, false); err != nil {
				return err
			}
			send(conn, protocol.NewObject(nil, "welcome").String("user", c.Identity().Subject).ID(m.ID()))
			return nil
		},
		Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
			send(conn, protocol.NewObject(nil, "got").String("what", typ).ID(m.ID()))
			return nil
		},
	}))
}

// bearer is the subprotocol that carries a token.
func bearer(token string) string {
	return "Sec-WebSocket-Protocol: perch.v1, bearer." + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// TestCarriers: a token counts in every carrier, and clients learn its faults after the handshake.
func TestCarriers(t *testing.T) {
	w := newWorld(t, required, first)
	good, other, expired := w.token("7", time.Hour), w.token("8", time.Hour), w.token("7", -time.Second)
	for _, tt := range []struct {
		name    string
		query   string
		headers []string
		code    string // of the error; "": the client is welcome
	}{
		{"header", "", []string{"Authorization: Bearer " + good}, ""},
		{"subprotocol", "", []string{bearer(good)}, ""},
		{"cookie", "", []string{"Cookie: perch_token=" + good}, ""},
		{"query", "token=" + good, nil, ""},
		{"the same twice", "token=" + good, []string{bearer(good)}, ""},
		{"none", "", nil, "token_missing"},
		{"cookie of another name", "", []string{"Cookie: token=" + good}, "token_missing"},
		{"expired", "token=" + expired, nil, "token_expired"},
		{"malformed", "token=" + good + "x", nil, "token_bad_signature"},
		{"no token at all", "token=x", nil, "token_malformed"},
		{"two that differ", "", []string{"Authorization: Bearer " + good, bearer(other)}, "token_conflicting"},
		{"a stale cookie and a query", "token=" + good, []string{"Cookie: perch_token=" + expired}, "token_conflicting"},
		{"bad one in the header", "", []string{"Authorization: Bearer"}, "token_malformed"},
	} {
		for _, target := range []string{"/ws/safe?", "/ws/monitored?client_id=a&", "/ws/with-session?", "/ws/reliable?client_id=a&", "/ws/7?", "/ws/first?"} {
			t.Run(tt.name+target, func(t *testing.T) {
				c := w.dial(target+tt.query, tt.headers...)
				c.t = t
				bad := "Invalid token"
				switch {
				case tt.code == "token_missing":
					bad = "Authentication required"
				case target == "/ws/7?":
					bad = "Invalid user"
				}
				if target == "/ws/first?" && tt.name != "bad one in the header" && tt.name != "two that differ" {
					c.say(`{}`) // a token in it would win
				}
				if tt.code != "" {
					if got := c.hear()["code"]; got != tt.code {
						t.Errorf("error %v, want %v", got, tt.code)
					}
					c.closed(frame.ClosePolicyViolation, bad)
					return
				}
				switch target {
				case "/ws/with-session?", "/ws/reliable?client_id=a&", "/ws/7?":
					c.hear()
				case "/ws/first?":
					c.expect(`{"type":"welcome","user":"7"}`)
				}
				c.say(`{"type":"refresh_token","id":1,"token":"` + good + `"}`)
				c.expect(`{"type":"token_refreshed","id":1,"expires_at":"2030-01-02T04:04:05.000Z"}`)
				c.CloseHandshake(frame.CloseNormal)
			})
		}
	}
	if w.log.contains(good) || w.log.contains(expired) {
		t.Error("a token was logged")
	}
	if !w.log.contains(`"msg":"client refused","error":{"code":"token_expired","reason":"token has expired"},"carrier":"query","remote":"127.0.0.1"`) {
		t.Error("a refusal was not logged")
	}
	w.meter.saw(t, "/ws/reliable token_expired")
}

// TestOpen: in open mode anybody may come, but not with a bad token.
func TestOpen(t *testing.T) {
	w := newWorld(t, nil, first)
	c := w.dial("/ws/7")
	c.expect(`{"type":"connected","client_id":7}`)
	c = w.dial("/ws/first")
	c.say(`{}`)
	c.expect(`{"type":"welcome","user":""}`)
	c = w.dial("/ws/reliable?client_id=a&token=x")
	c.hear()
	c.closed(frame.ClosePolicyViolation, "Invalid token")
	c = w.dial("/ws/first")
	c.say(`{"token":"x","id":"a"}`)
	c.expect(`{"type":"error","code":"token_malformed","message":"not a token","id":"a"}`)
	c.closed(frame.ClosePolicyViolation, "Invalid token")
}

// TestFirstFrame is about the token in the first message, and about messages before a good one.
func TestFirstFrame(t *testing.T) {
	w := newWorld(t, required, first)
	good, other := w.token("7", time.Hour), w.token("7", 2*time.Hour)
	const conflict = "token_conflicting"
	for _, tt := range []struct {
		name    string
		request string // the token of the request
		frames  []string
		answers []string // the code of an error, or ""
	}{
		{"in the frame", "", []string{`{"token":"` + good + `"}`}, []string{""}},
		{"with a type", "", []string{`{"type":"join","token":"` + good + `"}`}, []string{""}},
		{"in both", good, []string{`{"token":"` + good + `"}`}, []string{""}},
		{"in the request", good, []string{`{}`}, []string{""}},
		{"another than that of the query", good, []string{`{"token":"` + other + `"}`}, []string{""}},
		{"one after the other", "", []string{`{"token":"` + good + `","name":1}`, `{"token":"` + other + `"}`}, []string{"wrong_type", conflict}},
		{"no more after it", "", []string{`{"token":"` + good + `","name":1}`, `{}`}, []string{"wrong_type", ""}},
		{"at the second attempt", "", []string{`{"token":1}`, `[]`, `{`, `{"type":1}`, `{"id":[]}`, `{"token":"` + good + `"}`},
			[]string{"wrong_type", "not_an_object", "invalid_json", "wrong_type", "wrong_type", ""}},
		{"none", "", []string{`{"type":"refresh_token"}`}, []string{"token_missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := "/ws/first"
			if tt.request != "" {
				target += "?token=" + tt.request
			}
			c := w.dial(target)
			c.t = t
			c.say(tt.frames...)
			for _, code := range tt.answers {
				got := c.hear()
				if code == "" && got["type"] != "welcome" || code != "" && got["code"] != code {
					t.Fatalf("got %v, want %q", got, code)
				}
			}
			if last := tt.answers[len(tt.answers)-1]; last != "" {
				c.AnswerClose(frame.ClosePolicyViolation)
				return
			}
			c.say(`{"type":"hello","id":2}`)
			c.expect(`{"type":"got","what":"hello","id":2}`)
		})
	}
}

// TestExplicitWins: a token that a client shows itself wins over cookie and query, and they do not replace a bad one.
// It tries every pair of carriers, with every fault of both.
func TestExplicitWins(t *testing.T) {
	w := newWorld(t, required, first)
	tokens := map[string]string{
		"good": w.token("7", time.Hour), "stale": w.token("7", -time.Hour), "of another user": w.token("8", time.Hour),
		"malformed": "x", "with a wrong signature": w.token("7", time.Hour) + "AAAA",
	}
	codes := map[string]string{"stale": "token_expired", "malformed": "token_malformed", "with a wrong signature": "token_bad_signature"}
	show := func(carrier, token string) (query, header, frame string) {
		switch carrier {
		case "header":
			header = "Authorization: Bearer " + token
		case "subprotocol":
			header = bearer(token)
		case "cookie":
			header = "Cookie: perch_token=" + token
		case "query":
			query = "token=" + token
		case "frame":
			frame = token
		}
		return query, header, frame
	}
	for _, high := range []string{"header", "subprotocol", "frame"} {
		for _, low := range []string{"cookie", "query"} {
			for is, token := range tokens {
				for was, other := range tokens {
					name := fmt.Sprintf("%s %s, %s %s", high, is, low, was)
					query, header, _ := show(low, other)
					q, h, inFrame := show(high, token)
					var headers []string
					for _, line := range []string{header, h} {
						if line != "" {
							headers = append(headers, line)
						}
					}
					c := w.dial("/ws/first?"+query+q, headers...)
					user := "7"
					if is == "of another user" {
						user = "8"
					}
					text := `{}`
					if inFrame != "" {
						text = fmt.Sprintf(`{"token":%q}`, inFrame)
					}
					if code := codes[is]; code != "" {
						if high == "frame" {
							c.say(text)
						}
						if got := c.hear()["code"]; got != code {
							t.Errorf("%s: error %v, want %v", name, got, code)
						}
						c.AnswerClose(frame.ClosePolicyViolation)
						continue
					}
					c.say(text)
					if got := c.hear(); got["type"] != "welcome" || got["user"] != user {
						t.Errorf("%s: %v, want a welcome for %s", name, got, user)
					}
					c.CloseHandshake(frame.CloseNormal)
				}
			}
		}
	}
}

// TestExplicitWinsAtOnce: the same without a first message, and with the user that results.
func TestExplicitWinsAtOnce(t *testing.T) {
	w := newWorld(t, required, nil)
	good, stale, other := w.token("7", time.Hour), w.token("7", -time.Hour), w.token("8", time.Hour)
	for _, explicit := range []func(token string) string{bearer, func(token string) string { return "Authorization: Bearer " + token }} {
		for _, low := range []string{stale, other, "x"} {
			c := w.dial("/ws/7?token="+low, "Cookie: perch_token="+low, explicit(good))
			c.expect(`{"type":"connected","client_id":7}`)
			c.CloseHandshake(frame.CloseNormal)
			c = w.dial("/ws/7?token="+good, "Cookie: perch_token="+good, explicit(low))
			c.hear()
			c.AnswerClose(frame.ClosePolicyViolation)
		}
	}
}

// TestStaleCookieWaits: a bad cookie is refused with a first message that has no better token, and has no effect
// before.
func TestStaleCookieWaits(t *testing.T) {
	w := newWorld(t, nil, first) // open: anonymous clients are welcome, bad tokens are not
	stale := "Cookie: perch_token=" + w.token("7", -time.Hour)
	c := w.dial("/ws/first", stale)
	c.say(`[]`, `{"id":"a"}`)
	c.hear()
	c.expect(`{"type":"error","code":"token_expired","message":"token has expired","id":"a"}`)
	c.closed(frame.ClosePolicyViolation, "Invalid token")
	c = w.dial("/ws/first", stale)
	c.say(`{"token":"`+w.token("7", time.Hour)+`","name":1}`, `{}`)
	c.hear()
	c.expect(`{"type":"welcome","user":"7"}`)
	silent := w.dial("/ws/first", stale)
	silent.say(`[]`)
	silent.hear()
	w.later(DefaultFirstFrame)
	silent.closed(CloseNoFirstFrame, "no first frame in time")
	if !w.log.contains(`"error":{"code":"token_expired","reason":"token has expired"},"carrier":"cookie"`) {
		t.Error("the refusal was not logged")
	}
}

// TestNoFirstFrame: 4408 when the time is over, whatever else has come; never after a first message, and never where
// none is needed.
func TestNoFirstFrame(t *testing.T) {
	w := newWorld(t, nil, first)
	silent, wrong, good, other := w.dial("/ws/first?token="+w.token("a", time.Hour)), w.dial("/ws/first"), w.dial("/ws/first"), w.dial("/ws/7")
	wrong.say(`{"name":1}`)
	wrong.hear()
	good.say(`{}`)
	good.hear()
	other.hear()
	w.later(DefaultFirstFrame - time.Millisecond)
	silent.say(`{"name":1}`)
	silent.hear()
	w.later(time.Millisecond)
	silent.closed(CloseNoFirstFrame, "no first frame in time")
	wrong.closed(CloseNoFirstFrame, "no first frame in time")
	w.later(24 * time.Hour)
	good.say(`{"type":"still here"}`)
	good.expect(`{"type":"got","what":"still here"}`)
	other.say(`{"type":"ping"}`)
	other.hear()
	w.meter.saw(t, "/ws/first timeout")
}

// TestFirstFrameNever: −1 is for ever.
func TestFirstFrameNever(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.FirstFrame = -1 }, first)
	c := w.dial("/ws/first")
	c.say(`{"name":1}`) // the first message has come
	c.hear()
	w.later(24 * 365 * time.Hour)
	c.say(`{}`)
	c.expect(`{"type":"welcome","user":""}`)
}

// TestExpiry: 3002 when the token has expired, unless another one came.
func TestExpiry(t *testing.T) {
	w := newWorld(t, nil, first)
	request := w.dial("/ws/7?token=" + w.token("7", time.Minute))
	inFrame, refreshed, shortened := w.dial("/ws/first"), w.dial("/ws/first"), w.dial("/ws/first")
	for _, c := range []peer{inFrame, refreshed} {
		c.say(`{"token":"` + w.token("a", time.Minute) + `"}`)
		c.hear()
	}
	shortened.say(`{"token":"` + w.token("a", time.Hour) + `"}`)
	shortened.hear()
	request.hear()

	refreshed.say(`{"type":"refresh_token","token":"` + w.token("a", 2*time.Minute) + `"}`)
	refreshed.expect(`{"type":"token_refreshed","expires_at":"2030-01-02T03:06:05.000Z"}`)
	shortened.say(`{"type":"refresh_token","token":"` + w.token("a", time.Minute) + `"}`)
	shortened.expect(`{"type":"token_refreshed","expires_at":"2030-01-02T03:05:05.000Z"}`)

	w.later(59*time.Second + 990*time.Millisecond) // tokens have whole seconds
	request.say(`{"type":"ping"}`)
	request.hear()
	w.later(10 * time.Millisecond)
	request.closed(CloseTokenExpired, "token expired")
	inFrame.closed(CloseTokenExpired, "token expired")
	shortened.closed(CloseTokenExpired, "token expired")
	refreshed.say(`{"type":"x"}`)
	refreshed.expect(`{"type":"got","what":"x"}`)
	w.later(time.Minute)
	refreshed.closed(CloseTokenExpired, "token expired")
}

// TestAlarmForNothing: an alarm that was set anew while it went off does no harm.
func TestAlarmForNothing(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial(reliable + "&token=" + w.token("a", time.Minute))
	id, err := perch.ParseID(c.hear()["connection_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Find(id).Do(w.realm.expired); err != nil {
		t.Fatal(err)
	}
	c.say(`{"type":"ping"}`)
	c.expect(`{"type":"pong","timestamp":"*"}`)
	w.later(time.Minute)
	c.closed(CloseTokenExpired, "token expired")
}

// TestExpiryBeforeFirstFrame: the earlier of the two deadlines counts.
func TestExpiryBeforeFirstFrame(t *testing.T) {
	w := newWorld(t, nil, first)
	c := w.dial("/ws/first?token=" + w.token("a", 5*time.Second))
	c.say(`[]`)
	c.hear()
	w.later(5 * time.Second)
	c.closed(CloseTokenExpired, "token expired")
}

// TestRefreshRefused: the old token stays good until it expires.
func TestRefreshRefused(t *testing.T) {
	w := newWorld(t, nil, nil)
	c, anonymous := w.dial("/ws/7?token="+w.token("7", time.Minute)), w.dial("/ws/7")
	c.hear()
	anonymous.hear()
	for token, code := range map[string]string{
		`"` + w.token("8", time.Hour) + `"`:    "token_wrong_subject",
		`"` + w.token("7", -time.Second) + `"`: "token_expired",
		`"x"`:                                  "token_malformed",
		`null`:                                 "missing_field",
		`7`:                                    "wrong_type",
	} {
		c.say(`{"type":"refresh_token","id":"r","token":` + token + `}`)
		if got := c.hear(); got["code"] != code || got["id"] != "r" {
			t.Errorf("%s: got %v, want %v", token, got, code)
		}
	}
	anonymous.say(`{"type":"refresh_token","token":"` + w.token("7", time.Hour) + `"}`)
	if got := anonymous.hear()["code"]; got != "token_wrong_subject" {
		t.Errorf("an anonymous client that shows a token: %v", got)
	}
	w.later(time.Minute)
	c.closed(CloseTokenExpired, "token expired")
}

// TestKeysLoading: while keys are being fetched, clients are told to come back.
func TestKeysLoading(t *testing.T) {
	stop := make(chan struct{})
	keys := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	w := newWorld(t, func(_ *world, c *Config) {
		v, err := auth.New(auth.Config{KeySetURL: keys.URL})
		if err != nil {
			t.Fatal(err)
		}
		c.Auth = v
	}, first)
	t.Cleanup(func() { close(stop); keys.Close() })
	token := w.token("7", time.Hour)
	c := w.dial("/ws/7?token=" + token)
	if code := c.hear()["code"]; code != "token_unknown_key" {
		t.Errorf("error %v", code)
	}
	c.closed(frame.CloseTryAgainLater, "keys are being loaded, try again")
	c = w.dial("/ws/first")
	c.say(fmt.Sprintf(`{"token":%q}`, token))
	c.hear()
	c.closed(frame.CloseTryAgainLater, "keys are being loaded, try again")
}
