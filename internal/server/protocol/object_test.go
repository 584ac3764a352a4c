package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAppendTime(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), `"2026-01-02T03:04:05.006Z"`},
		{time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC), `"2026-12-31T23:59:59.999Z"`}, // cut, not rounded
		{time.Date(2026, 1, 1, 0, 30, 0, 120_000_000, cet), `"2025-12-31T23:30:00.120Z"`},
		{time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), `"2024-02-29T12:00:00.000Z"`},
		{time.Unix(0, 0), `"1970-01-01T00:00:00.000Z"`},
		{time.Time{}, `"0001-01-01T00:00:00.000Z"`},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), `"9999-12-31T00:00:00.000Z"`},
	} {
		if got := string(AppendTime(nil, tt.t)); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.t, got, tt.want)
		}
		if want := tt.t.UTC().Format(`"2006-01-02T15:04:05.000Z"`); tt.want != want {
			t.Errorf("package time writes %s, this table %s", want, tt.want)
		}
	}
}

// TestAppendTimeOutside: a year that RFC 3339 cannot write becomes the nearest that it can.
func TestAppendTimeOutside(t *testing.T) {
	const first, last = `"0000-01-01T00:00:00.000Z"`, `"9999-12-31T23:59:59.999Z"`
	west := time.FixedZone("west", -3600)
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), first},
		{time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC), first},
		{time.Date(-300_000, 1, 1, 0, 0, 0, 0, time.UTC), first},
		{time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC), last},
		{time.Date(9999, 12, 31, 23, 0, 0, 0, west), last}, // in UTC it is 10000
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), last},
		{time.Date(10000, 1, 1, 0, 0, 29, 0, time.UTC), last},
		{time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), last},
		{time.Unix(1<<62, 0), ""}, // package time decides the moment: only the form is checked
		{time.Unix(-1<<62, 0), ""},
	} {
		got := string(AppendTime(nil, tt.t))
		if tt.want != "" && got != tt.want {
			t.Errorf("%v: %s, want %s", tt.t, got, tt.want)
		}
		if _, err := time.Parse(`"`+time.RFC3339+`"`, got); err != nil || len(got) != len(first) {
			t.Errorf("%v: %s, %v", tt.t, got, err)
		}
	}
}

func TestObjectBuilder(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	id := json.RawMessage(`"a\u0062"`)
	for _, tt := range []struct {
		name string
		o    Object
		want string
	}{
		{"bare", NewObject(nil, ""), `{}`},
		{"type alone", NewObject(nil, "pong"), `{"type":"pong"}`},
		{"bare member", NewObject(nil, "").Bool("ok", true), `{"ok":true}`},
		{"behind others", NewObject([]byte("[["), "a").Int("n", -5), `[[{"type":"a","n":-5}`},
		{
			"message_sent", NewObject(nil, "message_sent").ID(id).String("message_id", "m").Uint("offset", 1<<64-1).Time("timestamp", at),
			`{"type":"message_sent","id":"a\u0062","message_id":"m","offset":18446744073709551615,"timestamp":"2026-01-02T03:04:05.000Z"}`,
		},
		{"no id, nothing raw", NewObject(nil, "a").ID(nil).Raw("r", nil).Raw("s", json.RawMessage("{}")).Bool("b", false), `{"type":"a","s":{},"b":false}`},
		{"raw that ends in a bracket of a string", NewObject(nil, "").String("s", "{").String("t", "["), `{"s":"{","t":"["}`},
		{"strings", NewObject(nil, "").Strings("a", nil).Strings("b", []string{"x"}).Strings("c", []string{"<", "["}), `{"a":[],"b":["x"],"c":["\u003c","["]}`},
		{"inside", NewObject(nil, "message").Open("message").String("id", "1").Open("e").Close().Close().Uint("offset", 2), `{"type":"message","message":{"id":"1","e":{}},"offset":2}`},
		{
			"list", NewObject(nil, "user_list").OpenList("users").OpenItem().String("id", "1").Close().OpenItem().Close().CloseList().OpenList("none").CloseList(),
			`{"type":"user_list","users":[{"id":"1"},{}],"none":[]}`,
		},
		{"escapes", NewObject(nil, "").String("s", "\"</script>\u2028\n"), `{"s":"\"\u003c/script\u003e\u2028\n"}`},
	} {
		got := tt.o.End()
		if string(got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAppendError(t *testing.T) {
	for _, tt := range []struct {
		e    Error
		id   string
		want string
	}{
		{
			Error{Code: CodeNoRoom, Message: "Join one."}, ``,
			`{"type":"error","code":"no_room","message":"Join one."}`,
		},
		{
			Error{Code: CodeNoRoom}, `7`,
			`{"type":"error","code":"no_room","message":"The connection is not in the room, or in none.","id":7}`,
		},
		{
			Error{Code: CodeTooLong, Message: "<", Field: "a\"b"}, `"x"`,
			`{"type":"error","code":"too_long","message":"\u003c","field":"a\"b","id":"x"}`,
		},
	} {
		if got := string(AppendError(nil, json.RawMessage(tt.id), &tt.e)); got != tt.want {
			t.Errorf("%v: %s, want %s", &tt.e, got, tt.want)
		}
	}
}

func TestAsError(t *testing.T) {
	own := &Error{Code: CodeRoomFull}
	if got := AsError(fmt.Errorf("join: %w", own)); got != own {
		t.Errorf("a wrapped *Error became %v", got)
	}
	got := AsError(errors.New("dial tcp 10.0.0.7:6379: connection refused"))
	if *got != (Error{Code: CodeInternal}) {
		t.Errorf("a fault of our own tells clients %+v", got)
	}
}

func TestErrorText(t *testing.T) {
	_, err := mustParse(t, `{"f":"ab"}`).String("f", 1, true)
	if got, want := err.Error(), `protocol: too_long (f): The field "f" is over 1 bytes.`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := (&Error{Code: CodeBusy}).Error(), "protocol: busy: The server is too busy for this; try again later."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
