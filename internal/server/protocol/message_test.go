package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// mustParse parses a message that must be right.
func mustParse(t *testing.T, text string) Message {
	t.Helper()
	m, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%.100s): %v", text, err)
	}
	return m
}

// wantCode demands an *Error with this code and field; with code "" it demands none.
func wantCode(t *testing.T, what string, err error, code Code, field string) {
	t.Helper()
	if err == nil && code == "" {
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != code || e.Field != field {
		t.Errorf("%s: error %v, want code %q of field %q", what, err, code, field)
	}
}

// nested is a message of so many levels, objects and arrays in turn.
func nested(levels int) string {
	var open, shut string
	for i := 1; i < levels; i++ {
		if i%2 == 1 {
			open, shut = open+`{"a":`, `}`+shut
		} else {
			open, shut = open+`[`, `]`+shut
		}
	}
	if levels%2 == 1 {
		return open + "{}" + shut
	}
	return open + "[]" + shut
}

// wide is an object with so many members.
func wide(members int) string {
	var b strings.Builder
	for i := range members {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		code Code
	}{
		{`{}`, ""},
		{" \t\r\n{ } \t\r\n", ""},
		{` { "a" : 1 , "b" : [ 1 , { } , [ ] ] } `, ""},
		{`{"a":true,"b":false,"c":null,"":0}`, ""},
		{`{"a":[0,-0,1,-12,0.5,1e5,1E+5,1.25e-5]}`, ""},
		{`{"a":"\"\\\/\b\f\n\r\t\u00aF"}`, ""},
		{`{"a":"ä€😀` + "\x7f" + `"}`, ""},
		{nested(MaxDepth), ""},
		{nested(MaxDepth + 1), CodeTooDeep},
		{nested(MaxDepth + 2), CodeTooDeep},
		{`{"a":` + strings.Repeat("[", 100_000), CodeTooDeep},
		{strings.Repeat(`{"a":`, 100_000), CodeTooDeep},
		{wide(MaxMembers), ""},
		{wide(MaxMembers + 1), CodeTooManyMembers},
		{`{"a":` + wide(MaxMembers+1) + `}`, ""}, // nobody reads the object inside

		{`[]`, CodeNotAnObject},
		{` [{"a":1}] `, CodeNotAnObject},
		{`"a"`, CodeNotAnObject},
		{`12`, CodeNotAnObject},
		{`null`, CodeNotAnObject},
		{`true`, CodeNotAnObject},
		{strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), CodeNotAnObject},
		{strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), CodeTooDeep},

		{``, CodeInvalidJSON},
		{`  `, CodeInvalidJSON},
		{"\x00", CodeInvalidJSON},
		{"{}\x00", CodeInvalidJSON},
		{"\ufeff{}", CodeInvalidJSON},
		{"\u00a0{}", CodeInvalidJSON},
		{`hello`, CodeInvalidJSON},
		{`{`, CodeInvalidJSON},
		{`{}}`, CodeInvalidJSON},
		{`{}{}`, CodeInvalidJSON},
		{`{"a"}`, CodeInvalidJSON},
		{`{"a":}`, CodeInvalidJSON},
		{`{"a" 1}`, CodeInvalidJSON},
		{`{"a":1,}`, CodeInvalidJSON},
		{`{,"a":1}`, CodeInvalidJSON},
		{`{"a":1 "b":2}`, CodeInvalidJSON},
		{`{"a":1,"b"`, CodeInvalidJSON},
		{`{a:1}`, CodeInvalidJSON},
		{`{'a':1}`, CodeInvalidJSON},
		{`{1:1}`, CodeInvalidJSON},
		{`{"a":[1,]}`, CodeInvalidJSON},
		{`{"a":[1 2]}`, CodeInvalidJSON},
		{`{"a":[,1]}`, CodeInvalidJSON},
		{`{"a":[1}`, CodeInvalidJSON},
		{`{"a":[`, CodeInvalidJSON},
		{`[1,2`, CodeInvalidJSON},
		{`{"a":01}`, CodeInvalidJSON},
		{`{"a":-}`, CodeInvalidJSON},
		{`{"a":+1}`, CodeInvalidJSON},
		{`{"a":.5}`, CodeInvalidJSON},
		{`{"a":1.}`, CodeInvalidJSON},
		{`{"a":1e}`, CodeInvalidJSON},
		{`{"a":1e+}`, CodeInvalidJSON},
		{`{"a":0x1}`, CodeInvalidJSON},
		{`{"a":NaN}`, CodeInvalidJSON},
		{`{"a":Infinity}`, CodeInvalidJSON},
		{`{"a":tru}`, CodeInvalidJSON},
		{`{"a":True}`, CodeInvalidJSON},
		{`{"a":nul`, CodeInvalidJSON},
		{`{"a":"`, CodeInvalidJSON},
		{`{"a":"\`, CodeInvalidJSON},
		{`{"a":"\"`, CodeInvalidJSON},
		{`{"a":"\x41"}`, CodeInvalidJSON},
		{`{"a":"\ug000"}`, CodeInvalidJSON},
		{`{"a":"\u0G00"}`, CodeInvalidJSON},
		{`{"a":"\u00@0"}`, CodeInvalidJSON},
		{`{"a":"\u000/"}`, CodeInvalidJSON},
		{`{"a":"\u00"}`, CodeInvalidJSON},
		{`{"a":"\u`, CodeInvalidJSON},
		{"{\"a\":\"\n\"}", CodeInvalidJSON},
		{"{\"a\":\"0123456789\x1f\"}", CodeInvalidJSON},
		{"{\"a\":\"\xff\"}", CodeInvalidJSON},
		{"{\"a\":\"\xed\xa0\x80\"}", CodeInvalidJSON}, // a surrogate
		{`{"a":1} // comment`, CodeInvalidJSON},
	} {
		_, err := Parse([]byte(tt.text))
		wantCode(t, fmt.Sprintf("Parse(%.60q)", tt.text), err, tt.code, "")
	}
}

// TestParseCut: no message that is cut anywhere is accepted.
func TestParseCut(t *testing.T) {
	whole := `{"a":"12345678\u00e9\n\ud83d\ude00","b":[true,false,null,-1.5e+9,{}],"c":"é"}`
	mustParse(t, whole)
	for i := range whole {
		p := make([]byte, i)
		copy(p, whole) // so that no byte follows its end
		_, err := Parse(p)
		wantCode(t, whole[:i], err, CodeInvalidJSON, "")
	}
}

// TestPlain: every byte at every place of a word of eight bytes, and between others.
func TestPlain(t *testing.T) {
	for _, filler := range []byte{'a', ' ', '!', '#', '[', ']', 0x7f, 0x80, 0xff} {
		for c := range 256 {
			for at := range 20 {
				b := bytes.Repeat([]byte{filler}, 20)
				b[at] = byte(c)
				want := len(b)
				if c < 0x20 || c == '"' || c == '\\' {
					want = at
				}
				if got := plain(b, 0); got != want {
					t.Fatalf("plain(%q) = %d, want %d", b, got, want)
				}
				if got := plain(b, at); got != want {
					t.Fatalf("plain(%q, %d) = %d, want %d", b, at, got, want)
				}
			}
		}
	}
}

// TestParsePosition: an error says where in the message the fault is.
func TestParsePosition(t *testing.T) {
	for text, at := range map[string]string{
		`{"a":1,}`:     "at byte 7.",
		`{"a":"b\q"}`:  "at byte 7.",
		`{"a":"b`:      "at byte 7.",
		`{"a":1} tail`: "at byte 8.",
		``:             "at byte 0.",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.HasSuffix(err.Error(), at) {
			t.Errorf("Parse(%q): error %v, want one that ends in %q", text, err, at)
		}
	}
}

func TestRaw(t *testing.T) {
	m := mustParse(t, `{"n":null, "a": {"b": [1, "]}"]} , "s":"x","A":"upper","\u0074\u0079\u0070\u0065":"chat","a\ud800":1,"s":"y","":2,"gone":1,"gone":null}`)
	for name, want := range map[string]string{
		"a":       `{"b": [1, "]}"]}`,
		"A":       `"upper"`, // names are exact: encoding/json would ignore case
		"s":       `"y"`,     // the last of two counts
		"type":    `"chat"`,  // escapes of a name are undone
		"a\ufffd": `1`,
		"":        `2`,
		"n":       "", // null is absent
		"gone":    "", // also when it is the last of two
		"S":       "",
		"b":       "", // of the object inside
		"nothing": "",
	} {
		if raw := m.Raw(name); string(raw) != want || (raw == nil) != (want == "") {
			t.Errorf("Raw(%q) = %q, want %q", name, raw, want)
		}
	}
	if raw := m.Raw("s"); cap(raw) != len(raw) {
		t.Error("an append to the result of Raw writes over the message")
	}
	if raw := (Message{}).Raw("a"); raw != nil {
		t.Errorf("the zero Message has %q", raw)
	}
}

func TestEach(t *testing.T) {
	m := mustParse(t, `{"a":1,"b":null,"\u0061":2,"c":3}`)
	var got []string
	collect := func(name string, raw json.RawMessage) error {
		got = append(got, name+"="+string(raw))
		return nil
	}
	if err := m.Each(collect); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "b=null a=2 c=3" {
		t.Errorf("Each saw %s", s)
	}
	enough := errors.New("enough")
	calls := 0
	err := m.Each(func(string, json.RawMessage) error { calls++; return enough })
	if err != enough || calls != 1 {
		t.Errorf("Each returned %v after %d calls, want the first error", err, calls)
	}
}

func TestType(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		code       Code
	}{
		{`{"type":"chat_message"}`, "chat_message", ""},
		{`{"type":"chat\u005fmessage"}`, "chat_message", ""},
		{`{"type":"whatever"}`, "whatever", ""},
		{`{"type":""}`, "", ""},
		{`{"type":"` + strings.Repeat("x", MaxType) + `"}`, strings.Repeat("x", MaxType), ""},
		{`{"type":"` + strings.Repeat("x", MaxType+1) + `"}`, "", CodeTooLong},
		{`{}`, "", CodeMissingField},
		{`{"Type":"ping"}`, "", CodeMissingField},
		{`{"type":null}`, "", CodeMissingField},
		{`{"type":7}`, "", CodeWrongType},
		{`{"type":["ping"]}`, "", CodeWrongType},
	} {
		got, err := mustParse(t, tt.text).Type()
		wantCode(t, tt.text, err, tt.code, "type")
		if got != tt.want {
			t.Errorf("%s: type %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		value    string
		most     int
		required bool
		want     string
		code     Code
	}{
		{`"abc"`, 3, true, "abc", ""},
		{`"abcd"`, 3, true, "", CodeTooLong},
		{`"€"`, 3, true, "€", ""}, // bytes, not letters
		{`"€€"`, 3, true, "", CodeTooLong},
		{`"\u0061\u0062\u0063"`, 3, true, "abc", ""}, // bytes of the text, not of its escapes
		{`"\u0061\u0062\u0063\u0064"`, 3, true, "", CodeTooLong},
		{`"\ud83d\ude00"`, 4, true, "😀", ""},
		{`"\uD83D\uDE00!"`, 5, true, "😀!", ""},
		{`"\"\\\/\b\f\n\r\t."`, 99, true, "\"\\/\b\f\n\r\t.", ""},
		{`"\u003cb\u003e\u00e9\u20AC"`, 99, true, "<b>é€", ""},
		{`"\ud800"`, 99, true, "\ufffd", ""},
		{`"\udc00x"`, 99, true, "\ufffdx", ""},
		{`"\ud800\u0041"`, 99, true, "\ufffdA", ""},
		{`"\ud800\ud83d\ude00"`, 99, true, "\ufffd😀", ""},
		{`"\ud800\n"`, 99, true, "\ufffd\n", ""},
		{`"\u0000"`, 1, true, "\x00", ""},
		{`""`, 0, true, "", ""}, // an empty string is not absent
		{`"a"`, 0, true, "", CodeTooLong},
		{`null`, 3, true, "", CodeMissingField},
		{`null`, 3, false, "", ""},
		{`1`, 3, false, "", CodeWrongType},
		{`{}`, 3, false, "", CodeWrongType},
	} {
		m := mustParse(t, `{"f":`+tt.value+`}`)
		got, err := m.String("f", tt.most, tt.required)
		wantCode(t, tt.value, err, tt.code, "f")
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.value, got, tt.want)
		}
	}
	_, err := mustParse(t, `{}`).String("f", 1, true)
	wantCode(t, "absent and required", err, CodeMissingField, "f")
	_, err = mustParse(t, `{}`).String("f", 1, false)
	wantCode(t, "absent", err, "", "")
}

// TestStringCopies: the loop writes over the message when the callback returns.
func TestStringCopies(t *testing.T) {
	p := []byte(`{"type":"unheard of","s":"plain","e":"\u0065scaped"}`)
	m, err := Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	typ, _ := m.Type()
	s, _ := m.String("s", 10, true)
	e, _ := m.String("e", 10, true)
	var name string
	_ = m.Each(func(n string, _ json.RawMessage) error { name += n; return nil })
	clear(p)
	if typ != "unheard of" || s != "plain" || e != "escaped" || name != "typese" {
		t.Errorf("after the message was cleared: %q %q %q %q", typ, s, e, name)
	}
}

func TestBool(t *testing.T) {
	m := mustParse(t, `{"t":true,"f":false,"n":null,"s":"true","i":1}`)
	for _, tt := range []struct {
		name      string
		def, want bool
		code      Code
	}{
		{"t", false, true, ""},
		{"f", true, false, ""},
		{"n", true, true, ""},
		{"absent", true, true, ""},
		{"absent", false, false, ""},
		{"s", true, true, CodeWrongType},
		{"i", false, false, CodeWrongType},
	} {
		got, err := m.Bool(tt.name, tt.def)
		wantCode(t, tt.name, err, tt.code, tt.name)
		if got != tt.want {
			t.Errorf("Bool(%q, %v) = %v", tt.name, tt.def, got)
		}
	}
}

func TestUint64(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  uint64
		ok    bool
		code  Code
	}{
		{`0`, 0, true, ""},
		{`18446744073709551615`, 1<<64 - 1, true, ""},
		{`18446744073709551616`, 0, false, CodeWrongType},
		{`-1`, 0, false, CodeWrongType},
		{`-0`, 0, false, CodeWrongType},
		{`1.0`, 0, false, CodeWrongType},
		{`1e3`, 0, false, CodeWrongType},
		{`"1"`, 0, false, CodeWrongType},
		{`true`, 0, false, CodeWrongType},
		{`null`, 0, false, ""},
	} {
		v, ok, err := mustParse(t, `{"f":`+tt.value+`}`).Uint64("f")
		wantCode(t, tt.value, err, tt.code, "f")
		if v != tt.want || ok != tt.ok {
			t.Errorf("%s: %d, %v, want %d, %v", tt.value, v, ok, tt.want, tt.ok)
		}
	}
	if _, ok, err := mustParse(t, `{}`).Uint64("f"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}

func TestObject(t *testing.T) {
	m := mustParse(t, `{"resume": {"session":"k", "rooms":{"general":{"epoch":"e","offset":7}}} ,"n":null,"a":[],"wide":`+
		wide(MaxMembers+1)+`,"full":`+wide(MaxMembers)+`}`)
	resume, ok, err := m.Object("resume")
	if !ok || err != nil {
		t.Fatalf("resume: %v, %v", ok, err)
	}
	rooms, ok, err := resume.Object("rooms")
	if !ok || err != nil {
		t.Fatalf("rooms: %v, %v", ok, err)
	}
	general, ok, err := rooms.Object("general")
	if !ok || err != nil {
		t.Fatalf("general: %v, %v", ok, err)
	}
	if v, _, err := general.Uint64("offset"); v != 7 || err != nil {
		t.Errorf("offset %d, %v", v, err)
	}
	for _, tt := range []struct {
		name string
		ok   bool
		code Code
	}{
		{"full", true, ""},
		{"wide", false, CodeTooManyMembers},
		{"a", false, CodeWrongType},
		{"n", false, ""},
		{"absent", false, ""},
	} {
		_, ok, err := m.Object(tt.name)
		wantCode(t, tt.name, err, tt.code, tt.name)
		if ok != tt.ok {
			t.Errorf("Object(%q) is there: %v", tt.name, ok)
		}
	}
}

// TestID also covers Scalar. A number comes back as it was written, even if no float64 can hold it.
func TestID(t *testing.T) {
	long := strings.Repeat("7", MaxScalar)
	for _, tt := range []struct {
		value string
		code  Code
	}{
		{`"a-1"`, ""},
		{`""`, ""},
		{`12`, ""},
		{`-12`, ""},
		{`"` + long + `"`, ""},
		{`"` + long + `7"`, CodeTooLong},
		{long, ""},
		{long + `7`, CodeTooLong},
		{`9007199254740993`, ""},
		{`-18446744073709551617`, ""},
		{`-0`, ""},
		{`1.0`, ""},
		{`1.5`, ""},
		{`1e5`, ""},
		{`1E+400`, ""},
		{`0.1000000000000000055511151231257827`, ""},
		{`true`, CodeWrongType},
		{`{"a":1}`, CodeWrongType},
		{`[` + long + `]`, CodeWrongType},
		{`null`, ""},
	} {
		m := mustParse(t, `{ "id" : `+tt.value+` }`)
		echo := map[Code]string{"": tt.value}
		if tt.value == "null" {
			echo[""] = ""
		}
		raw, err := m.Scalar("id")
		wantCode(t, "Scalar of "+tt.value, err, tt.code, "id")
		if string(raw) != echo[tt.code] {
			t.Errorf("Scalar of %s: %s", tt.value, raw)
		}
		wantCode(t, "CheckID of "+tt.value, m.CheckID(), tt.code, "id")
		if id := m.ID(); string(id) != echo[tt.code] {
			t.Errorf("ID of %s: %s", tt.value, id)
		}
	}
	m := mustParse(t, `{}`)
	if id, err := m.ID(), m.CheckID(); id != nil || err != nil {
		t.Errorf("without an id: %s, %v", id, err)
	}
}
