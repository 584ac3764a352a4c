package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/perchws/perch/session"
)

func TestMerge(t *testing.T) {
	for _, tt := range []struct{ old, patch, want string }{
		{``, `{}`, `{}`},
		{``, ` { "b" : [ 1 , 2 ] , "a" : { "y":1, "x":2 } } `, `{"a":{"y":1,"x":2},"b":[1,2]}`},
		{`{"a":1,"b":2}`, `{"a":3}`, `{"a":3,"b":2}`},
		{`{"a":{"x":1}}`, `{"a":{"y":2}}`, `{"a":{"y":2}}`},
		{`{"a":1,"b":2}`, `{"a": null }`, `{"b":2}`},
		{`{"a":1}`, `{"a":null}`, `{}`},
		{`{"a":1}`, `{"A":null}`, `{"a":1}`}, // names are compared as they are
		{``, `{"a":{"x":null},"b":[null]}`, `{"a":{"x":null},"b":[null]}`},
		{``, `{"a":1,"a":2}`, `{"a":2}`},
		{`{"a":1}`, `{"a":2,"a":null}`, `{}`},
		{`{"a":1}`, `{"\u0061":2}`, `{"a":2}`},
		{`{"\"":1,"x":2}`, `{"\u0022":null,"\u0000":"\u0000"}`, `{"\u0000":"\u0000","x":2}`},
		{`{"b":1,"d":1}`, `{"e":2,"c":2,"a":2,"d":2,"c":3}`, `{"a":2,"b":1,"c":3,"d":2,"e":2}`},
		{``, `{"a":null}`, `{}`},
		{"{\"\\u2028\":1}", "{\"\u2028\":2}", "{\"\\u2028\":2}"},
		{``, `{"s":"}{][:,\\","t":[{"u":"\"]"},{}],"v":-1.5e3,"w":false}`, `{"s":"}{][:,\\","t":[{"u":"\"]"},{}],"v":-1.5e3,"w":false}`},
		{``, `{"":1}`, `{"":1}`},
		{``, `{"n":123456789012345678901234567890.10e+400}`, `{"n":123456789012345678901234567890.10e+400}`},
		{``, `{"h":"<b>&é\u2028"}`, `{"h":"<b>&é\u2028"}`}, // not longer than it was sent
		{``, `{"[{\"":"]}\\\""}`, `{"[{\"":"]}\\\""}`},
		{``, `{"__proto__":{"x":1}}`, `{"__proto__":{"x":1}}`},
	} {
		got, err := session.Merge(session.Data(tt.old), []byte(tt.patch))
		if err != nil || got.String() != tt.want {
			t.Errorf("Merge(%s, %s) = %s, %v, want %s", tt.old, tt.patch, got, err, tt.want)
		}
	}
}

// TestMergeManyNames: of equal names the last one counts, even among so many that an unstable sort would mix them up.
func TestMergeManyNames(t *testing.T) {
	var patch, want strings.Builder
	for round := range 3 {
		for i := range 300 {
			fmt.Fprintf(&patch, `,"%03d":%d`, i*7%300, round)
		}
	}
	for i := range 300 {
		fmt.Fprintf(&want, `,"%03d":2`, i)
	}
	got, err := session.Merge("", []byte("{"+patch.String()[1:]+"}"))
	if err != nil || got.String() != "{"+want.String()[1:]+"}" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	nested := func(open, shut string, n int) string {
		return `{"d":` + strings.Repeat(open, n) + `1` + strings.Repeat(shut, n) + `}`
	}
	const old = `{"a":1}`
	for _, tt := range []struct {
		patch string
		want  error // nil: the other side of the limit
	}{
		{nested("[", "]", session.MaxDepth-1), nil},
		{nested("[", "]", session.MaxDepth), session.ErrDataInvalid},
		{nested(`{"o":`, "}", session.MaxDepth-1), nil},
		{nested(`{"o":`, "}", session.MaxDepth), session.ErrDataInvalid},
		{`{"s":"` + strings.Repeat("[", 1000) + `"}`, nil},
		{`{"s":"\"` + strings.Repeat("[", 1000) + `"}`, nil},
		{strings.Repeat("[", 60_000), session.ErrDataInvalid},
		{`{` + strings.Repeat(" ", session.MaxData-2) + `}`, nil},
		{`{` + strings.Repeat(" ", session.MaxData-1) + `}`, session.ErrDataTooLarge},
		{"", session.ErrDataInvalid}, {" ", session.ErrDataInvalid}, {"null", session.ErrDataInvalid},
		{"1", session.ErrDataInvalid}, {`"{}"`, session.ErrDataInvalid}, {"[{}]", session.ErrDataInvalid},
		{"{", session.ErrDataInvalid}, {"{}}", session.ErrDataInvalid}, {`{a:1}`, session.ErrDataInvalid},
		{`{"a":1,}`, session.ErrDataInvalid}, {`{"a":NaN}`, session.ErrDataInvalid}, {`{"a":01}`, session.ErrDataInvalid},
		{"{\"a\":\"\x00\"}", session.ErrDataInvalid}, {"{\"a\":\"\xc0\xaf\"}", session.ErrDataInvalid},
		{"\ufeff{}", session.ErrDataInvalid}, {"\v{}", session.ErrDataInvalid},
	} {
		got, err := session.Merge(old, []byte(tt.patch))
		if !errors.Is(err, tt.want) || err != nil && tt.want == nil {
			t.Errorf("Merge(%.40q): error %v, want %v", tt.patch, err, tt.want)
		}
		if err != nil && got != old {
			t.Errorf("Merge(%.40q) failed and returned %.40q", tt.patch, got)
		}
	}
}

// TestMergeResultTooLarge: each patch is small enough, but not their sum.
func TestMergeResultTooLarge(t *testing.T) {
	half := strings.Repeat("x", session.MaxData/2)
	d, err := session.Merge("", []byte(`{"a":"`+half+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	frame := len(`{"a":"","b":""}`)
	over, err := session.Merge(d, []byte(`{"b":"`+half[frame-1:]+`"}`))
	if !errors.Is(err, session.ErrDataTooLarge) || over != d {
		t.Errorf("a byte over the limit: %d bytes, %v", len(over), err)
	}
	full, err := session.Merge(d, []byte(`{"b":"`+half[frame:]+`"}`))
	if err != nil || len(full) != session.MaxData {
		t.Errorf("at the limit: %d bytes, %v", len(full), err)
	}
	if less, err := session.Merge(full, []byte(`{"a":null}`)); err != nil || len(less) >= len(d) {
		t.Errorf("a full one cannot shrink: %d bytes, %v", len(less), err)
	}
}

// FuzzMerge compares with a merge of decoded values.
func FuzzMerge(f *testing.F) {
	for _, seed := range [][2]string{
		{`{}`, `{}`},
		{`{"a":1,"b":{"c":[null,true]}}`, `{"a":null,"b":{"d":"\u0000\ud83d\ude00"}}`},
		{`{"a":"\""}`, `{"a":1,"a":2,"\u0061":3}`},
		{`{"k":"<&>"}`, `{"k":[[[[[[[[]]]]]]]]}`},
		{`{"n":1e999}`, ` {"n" : -0.0E+0 }`},
		{`{"\ud800":1}`, `{"\udc00":null}`},
		{`[]`, `{"a":1`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		old, err := session.Merge("", first)
		if err != nil {
			checkMergeError(t, err)
			return
		}
		checkMerge(t, "", first, old)
		merged, err := session.Merge(old, second)
		if err != nil {
			checkMergeError(t, err)
			return
		}
		checkMerge(t, old, second, merged)
		if again, err := session.Merge(merged, second); err != nil || again != merged {
			t.Errorf("twice is not once: %q, %v, after %q", again, err, merged)
		}
	})
}

func checkMergeError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, session.ErrDataInvalid) && !errors.Is(err, session.ErrDataTooLarge) {
		t.Errorf("error %v is not one of this package", err)
	}
}

func checkMerge(t *testing.T, old session.Data, patch []byte, got session.Data) {
	t.Helper()
	want := decode(t, old.String())
	maps.Copy(want, decode(t, string(patch)))
	maps.DeleteFunc(want, func(_ string, v any) bool { return v == nil })
	if have := decode(t, got.String()); !reflect.DeepEqual(have, want) {
		t.Errorf("Merge(%q, %q) = %q, want %v", old, patch, got, want)
	}
	if len(got) > session.MaxData {
		t.Errorf("%d bytes", len(got))
	}
	if again, err := session.Merge("", []byte(got.String())); err != nil || again != got {
		t.Errorf("not canonical: %q becomes %q, %v", got, again, err)
	}
}

// decode keeps numbers as they are written: some do not fit a float64.
func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	m := make(map[string]any)
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return m
}
