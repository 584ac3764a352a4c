package endpoint

import (
	"bytes"
	"testing"
)

// TestNumbersComeBack: a client gets its numbers back byte by byte, and not as a float64 prints them.
func TestNumbersComeBack(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, n := range []string{
		"9007199254740993", "-9007199254740993", "18446744073709551615", "123456789012345678901234567890", "-0", "1.0", "1e3", "1E-400", "0.1000000000000000055",
	} {
		for target, says := range map[string][2]string{ // the message, and a part of the answer; % is the number
			"/ws/7":                     {`{"type":"ping","timestamp":%,"id":%}`, `"original_timestamp":%`},
			"/ws/reliable?client_id=a":  {`{"type":"ping","timestamp":%,"id":%}`, `"original_timestamp":%`},
			"/ws/monitored?client_id=a": {`{"type":"x","id":%}`, `"received":"x"`},
			"/ws/safe":                  {`{"type":"x","a":{"b":[%]},"id":%}`, `"data":{"type":"x","a":{"b":[%]},"id":%}`},
			"/ws/with-session":          {`{"type":"update_session","data":{"a":%,"b":[{"c":%}]},"id":%}`, `"a":%,"b":[{"c":%}]`},
		} {
			number := func(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte("%"), []byte(n))) }
			c := w.dial(target)
			c.say(number(says[0]))
			var answer []byte
			for !bytes.Contains(answer, []byte(number(`"id":%}`))) {
				_, answer = c.NextMessage()
				if bytes.Contains(answer, []byte(`"error"`)) {
					t.Fatalf("%s: %s", target, answer)
				}
			}
			if !bytes.Contains(answer, []byte(number(says[1]))) {
				t.Errorf("%s %s: %s", target, n, answer)
			}
			c.Close()
		}
	}
}
