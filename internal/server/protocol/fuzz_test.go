package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"unicode/utf8"
)

// FuzzParse compares with encoding/json: a message that Parse accepts is an object there too, of the same names and
// values; one that Parse refuses is refused there, or is over a limit.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"type":"chat_message","id":"c-17","content":"hi <b>\u00e9\ud83d\ude00\ud800</b>","message_type":"text","reply_to":null}`,
		`{"username":"Ann","resume":{"session":"k","rooms":{"general":{"epoch":"e","offset":18446744073709551615}}}}`,
		`{"a":1,"\u0061":[true,false,-1.5e+9],"A":{},"a":"\"\\\/\b\f\n\r\t","":01}`,
		` [ 1 , { "a" : [ ] } ] `, `"0123456\u000b89"`, "{\"a\":\"01234567\x1f\"}", "{\"\xff\":1}", "{}\x00", `{"a":tru}`, ``,
		nested(MaxDepth), nested(MaxDepth + 1), "{", wide(MaxMembers), wide(MaxMembers + 1), `{"a":` + wide(MaxMembers+1) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		m, err := Parse(p)
		if !bytes.Equal(p, before) {
			t.Fatal("Parse changed the message")
		}
		valid := json.Valid(p) && utf8.Valid(p)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v is no *Error", err)
			}
			object := bytes.HasPrefix(bytes.TrimLeft(p, " \t\r\n"), []byte("{"))
			depth, members := shape(p)
			switch {
			case e.Code == CodeInvalidJSON && !valid:
			case e.Code == CodeNotAnObject && valid && !object:
			case e.Code == CodeTooDeep && depth > MaxDepth:
			case e.Code == CodeTooManyMembers && object && members > MaxMembers:
			default:
				t.Fatalf("%v: valid %v, object %v, depth %d, members %d", err, valid, object, depth, members)
			}
			return
		}
		if depth, members := shape(p); !valid || depth > MaxDepth || members > MaxMembers {
			t.Fatalf("accepted: valid %v, depth %d, members %d", valid, depth, members)
		}
		compareObject(t, m, p)
	})
}

// shape returns how deep p nests and how many members its outermost object has. p need not be JSON to its end.
func shape(p []byte) (depth, members int) {
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	level, values := 0, 0 // values: names count as well
	for {
		token, err := d.Token()
		if err != nil {
			return depth, values / 2
		}
		delim, ok := token.(json.Delim)
		if ok && (delim == '}' || delim == ']') {
			level--
			continue
		}
		if level == 1 {
			values++
		}
		if ok {
			level++
			depth = max(depth, level)
		}
	}
}

// compareObject demands that m has the values that encoding/json reads from p, an object.
func compareObject(t *testing.T, m Message, p []byte) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal(p, &want); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]json.RawMessage)
	if err := m.Each(func(name string, raw json.RawMessage) error {
		if _, twice := seen[name]; twice {
			t.Errorf("Each showed %q twice", name)
		}
		seen[name] = raw
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(want) {
		t.Fatalf("Each showed %d names, want %d", len(seen), len(want))
	}
	for name, raw := range want {
		if string(seen[name]) != string(raw) {
			t.Errorf("%q: Each showed %s, want %s", name, seen[name], raw)
		}
		if string(raw) == "null" {
			raw = nil
		}
		if got := m.Raw(name); string(got) != string(raw) {
			t.Errorf("Raw(%q) = %s, want %s", name, got, raw)
		}
		compareValue(t, m, name, raw)
	}
}

// compareValue reads one member by every method.
func compareValue(t *testing.T, m Message, name string, raw json.RawMessage) {
	t.Helper()
	isA := func(v any) bool { return raw != nil && json.Unmarshal(raw, v) == nil }

	var s string
	wantS := isA(&s)
	got, err := m.String(name, len(s), true)
	if got != s || (err == nil) != wantS {
		t.Errorf("String(%q) = %q, %v, want %q, %v", name, got, err, s, wantS)
	}
	if wantS && s != "" {
		_, err = m.String(name, len(s)-1, true)
		wantCode(t, "a byte less", err, CodeTooLong, name)
	}
	var b bool
	wantB := isA(&b)
	if got, err := m.Bool(name, false); got != b || (err == nil) != (wantB || raw == nil) {
		t.Errorf("Bool(%q) = %v, %v of %s", name, got, err, raw)
	}
	u, parseErr := strconv.ParseUint(string(raw), 10, 64)
	if got, ok, _ := m.Uint64(name); ok != (parseErr == nil) || ok && got != u {
		t.Errorf("Uint64(%q) = %d, %v of %s", name, got, ok, raw)
	}
	if id, err := m.Scalar(name); err == nil && id != nil && !json.Valid(id) {
		t.Errorf("Scalar(%q) = %s, which is not JSON", name, id)
	}
	o, ok, err := m.Object(name)
	if isObject := len(raw) != 0 && raw[0] == '{'; ok != isObject && err == nil {
		t.Errorf("Object(%q): %v of %s", name, ok, raw)
	}
	if ok {
		compareObject(t, o, raw)
	}
}

// FuzzAppendString compares with encoding/json, and reads the output back.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<script>&amp;</script>", "é€😀\u2028\u2029\ufffd", "\xff\xed\xa0\x80a\xc3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got := AppendString([]byte("x"), s)
		if string(got[1:]) != string(want) || got[0] != 'x' {
			t.Fatalf("AppendString(%q) = %s, want %s", s, got, want)
		}
		m, err := Parse(NewObject(nil, "").String("s", s).End())
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(want, &back); err != nil {
			t.Fatal(err)
		}
		if got, err := m.String("s", len(back), true); got != back || err != nil {
			t.Fatalf("read back: %q, %v, want %q", got, err, back)
		}
	})
}
