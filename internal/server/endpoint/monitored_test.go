package endpoint

import (
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func TestMonitored(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/monitored?client_id=a%22b")
	for _, tt := range []struct{ message, want string }{
		{`{"type":"x"}`, `{"type":"ack","client_id":"a\"b","received":"x","timestamp":` + timestamp + `}`},
		{`{"type":"ping","id":"1"}`, `{"type":"ack","client_id":"a\"b","received":"ping","timestamp":` + timestamp + `,"id":"1"}`},
		{`{"value":1,"id":2}`, `{"type":"ack","client_id":"a\"b","received":"","timestamp":` + timestamp + `,"id":2}`},
		{`{"type":`, `{"type":"error","code":"invalid_json","message":"Invalid JSON"}`},
		{`hello`, `{"type":"error","code":"invalid_json","message":"Invalid JSON"}`},
		{`[1]`, `{"type":"error","code":"not_an_object","message":"*"}`},
		{`{"type":[]}`, `{"type":"error","code":"wrong_type","message":"*","field":"type"}`},
	} {
		c.say(tt.message)
		c.expect(tt.want)
	}
	for _, what := range []string{"x", "ping", "", "invalid_json", "not_an_object", "wrong_type"} {
		w.meter.saw(t, "/ws/monitored "+what)
	}
	for _, what := range []string{
		`"msg":"message","direction":"in","message_type":"x","message_size":12,"took":`, `"client_id":"a\"b","endpoint":"/ws/monitored","connection_id":"`,
	} {
		if !w.log.contains(what) {
			t.Errorf("%s is not logged", what)
		}
	}
}

// TestMonitoredRate: /ws/monitored has no rate limit, other endpoints do.
func TestMonitoredRate(t *testing.T) {
	const many = 1000 // the burst is 200, then 100 a second
	w := newWorld(t, nil, nil)
	flood := func(target string) peer {
		c := w.dial(target)
		var all []byte
		for range many {
			all = append(all, c.Encode(wstest.Text(`{"type":"x"}`))...)
		}
		c.Write(all)
		return c
	}
	c := flood("/ws/monitored?client_id=a")
	for range many {
		c.expect(`{"type":"ack","client_id":"a","received":"x","timestamp":"*"}`)
	}
	c = flood("/ws/safe")
	for {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpClose {
			if code, _ := f.CloseInfo(); code != perch.ClosePolicyViolation {
				t.Errorf("closed with %v", code)
			}
			break
		}
	}
}

// TestClientName: clients of /ws/monitored and /ws/reliable must have a name.
func TestClientName(t *testing.T) {
	w := newWorld(t, nil, nil)
	for query, reason := range map[string]string{
		"":                        "client_id is missing",
		"?client_id=":             "client_id is missing",
		"?client_id=%20%E2%80%8B": "client_id is missing", // no character of it is visible
		"?client=a":               "client_id is missing",
		"?client_id=%ff":          "client_id is over 128 bytes, or not UTF-8",
		"?client_id=" + strings.Repeat("a", maxClientID+1): "client_id is over 128 bytes, or not UTF-8",
	} {
		for _, path := range []string{"/ws/monitored", "/ws/reliable"} {
			w.dial(path+query).closed(frame.ClosePolicyViolation, reason)
		}
	}
	c := w.dial("/ws/monitored?client_id=" + strings.Repeat("a", maxClientID))
	c.say(`{}`)
	c.hear()
	if n := w.store.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions were made", n)
	}
}
