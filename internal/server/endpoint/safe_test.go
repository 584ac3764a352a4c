package endpoint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func TestSafe(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.MaxErrors = -1 }, nil)
	c := w.dial("/ws/safe")
	const invalid = `{"error":"*","code":"VALIDATION_ERROR"}`
	for _, tt := range []struct{ message, want string }{
		{`{"type":"x"}`, `{"type":"processed","data":{"type":"x"},"timestamp":` + timestamp + `}`},
		{` { "type" : "x" , "id" : "7", "a\"b":[1.50, {"c":null}],"n":null}`,
			`{"type":"processed","data":{"type":"x","id":"7","a\"b":[1.50,{"c":null}],"n":null},"timestamp":` + timestamp + `,"id":"7"}`},
		{`{"type":"dangerous","id":8}`, `{"error":"The message could not be processed.","code":"PROCESSING_ERROR","id":8}`},
		{`{"type":"ping"}`, `{"type":"processed","data":{"type":"ping"},"timestamp":` + timestamp + `}`},
		{`{"type"`, invalid},
		{`"type"`, invalid},
		{`[{"type":"x"}]`, invalid},
		{`null`, invalid},
		{`{}`, `{"error":"The field \"type\" is missing.","code":"VALIDATION_ERROR"}`},
		{`{"type":7,"id":9}`, `{"error":"*","code":"VALIDATION_ERROR","id":9}`},
		{`{"type":"x","deep":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`, invalid},
		{`{"type":"refresh_token","token":"x"}`, `{"error":"*","code":"token_malformed"}`},
	} {
		c.say(tt.message)
		c.expect(tt.want)
	}
	c.Send(wstest.Binary([]byte("{}")))
	c.expect(invalid)
	w.meter.saw(t, "/ws/safe x")
	w.meter.saw(t, "/ws/safe PROCESSING_ERROR")
	w.meter.saw(t, "/ws/safe not_text")
}

// TestSafeFault: a fault of ours ends only its own connection, which learns nothing about it.
func TestSafeFault(t *testing.T) {
	w := newWorld(t, nil, func(w *world) {
		w.srv.Handle("/ws/faulty", w.realm.safe(func(typ string) error {
			if typ == "panic" {
				panic("the password is 42")
			}
			return fmt.Errorf("no route to 10.1.2.3: %s", typ)
		}))
	})
	c, other := w.dial("/ws/faulty"), w.dial("/ws/safe")
	c.say(`{"type":"x"}`)
	c.expect(`{"error":"The server failed; the fault is its own.","code":"internal"}`)
	c.say(`{"type":"panic"}`, `{"type":"x"}`)
	c.closed(perch.CloseInternalError, "Internal server error")
	if !w.log.contains("the password is 42") || !w.log.contains("10.1.2.3") || !w.log.contains("safe_test.go") {
		t.Error("the fault is not logged")
	}
	w.meter.saw(t, "/ws/safe internal")
	other.say(`{"type":"x"}`)
	other.hear()
}

// TestSafeErrors: the limit on errors holds here, too.
func TestSafeErrors(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial("/ws/safe")
	for range DefaultMaxErrors + 1 {
		c.say(`{"type":"dangerous"}`)
		c.expect(`{"error":"*","code":"PROCESSING_ERROR"}`)
	}
	c.closed(frame.ClosePolicyViolation, "too many errors")
}
