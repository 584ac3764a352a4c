package auth

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
)

// redacted replaces a secret.
const redacted = "[redacted]"

// Redact returns s without the secrets in it: tokens, and other values that prove who somebody is (cookies,
// passwords, session ids), in URLs, header lines, subprotocol lists and JSON. It also removes anything that looks
// like a JSON Web Token, anywhere, even percent-encoded or escaped. It removes too much rather than too little: up to
// the end of a header line or a value. It cannot recognise an opaque word without a mark as a secret.
func Redact(s string) string {
	var spans []span
	add := func(t text, start, end int) {
		if start < end {
			spans = append(spans, span{t.offset(start), t.offset(end)})
		}
	}
	t, more := text{s: s}, true
	for level := 0; more && level < 4; level++ {
		findTokens(t, add)
		findBearers(t, add)
		findAssignments(t, add)
		t, more = t.decode()
	}
	if len(spans) == 0 {
		return s
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	done := 0 // how much of s is copied or redacted
	for _, sp := range spans {
		if sp.end <= done {
			continue
		}
		if sp.start >= done {
			b.WriteString(s[done:sp.start])
			b.WriteString(redacted)
		}
		done = sp.end
	}
	b.WriteString(s[done:])
	return b.String()
}

// span is s[start:end] of the given text.
type span struct{ start, end int }

// text is the given text, or the result of decoding it some times.
type text struct {
	s  string
	at []int // the places of each byte of s, and of its end, in the given text; nil: s is the given text
}

func (t text) offset(i int) int {
	if t.at == nil {
		return i
	}
	return t.at[i]
}

// decode undoes one level of percent encoding (RFC 3986 §2.1) and of JSON's escapes for ASCII
// (RFC 8259 §7). It reports whether there was anything to undo.
func (t text) decode() (text, bool) {
	if !strings.ContainsAny(t.s, `%\`) {
		return t, false
	}
	b := make([]byte, 0, len(t.s))
	at := make([]int, 0, len(t.s)+1)
	changed := false
	for i := 0; i < len(t.s); {
		c, n := unescape(t.s[i:])
		b, at = append(b, c), append(at, t.offset(i))
		changed = changed || n > 1
		i += n
	}
	return text{string(b), append(at, t.offset(len(t.s)))}, changed
}

// unescape returns the byte that s begins with, decoded, and the length of its spelling.
func unescape(s string) (byte, int) {
	digits := ""
	switch {
	case s[0] == '%' && len(s) >= 3:
		digits = s[1:3]
	case strings.HasPrefix(s, `\u00`) && len(s) >= 6:
		digits = s[4:6]
	case s[0] == '\\' && len(s) >= 2 && strings.IndexByte(`"\/`, s[1]) >= 0:
		return s[1], 2
	}
	var b [1]byte
	if n, err := hex.Decode(b[:], []byte(digits)); err != nil || n != 1 {
		return s[0], 1
	}
	if s[0] == '%' {
		return b[0], 3
	}
	return b[0], 6
}

// findTokens finds runs in the form of a JWS (RFC 7515 §7.1).
func findTokens(t text, add func(text, int, int)) {
	s := t.s
	for i := 0; i < len(s); {
		if !tokenByte(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && tokenByte(s[end]) {
			end++
		}
		if cut := tokenIn(s[i:end]); cut >= 0 {
			start := i + cut
			for end < len(s) && (tokenByte(s[end]) || strings.IndexByte("+/=", s[end]) >= 0) {
				end++ // in the other alphabet of base64
			}
			add(t, start, end)
		}
		i = end
	}
}

// tokenIn returns where in a run of token bytes a token begins, −1 if there is none.
func tokenIn(run string) int {
	const (
		object  = "eyJ"  // `{"` in base64: how headers begin in practice
		twice   = "ZXlK" // "eyJ" in base64: a token in the bearer subprotocol
		shortly = 16     // a shorter run is a word
		header  = 16     // least length of a header, in any spelling
		sig     = 43     // HMAC-SHA256, the shortest signature we accept
	)
	first := -1
	if k := strings.Index(run, object); k >= 0 && (len(run)-k >= shortly || strings.Contains(run[k:], ".")) {
		first = k
	}
	if k := strings.Index(run, twice); k >= 0 && len(run)-k >= shortly && (first < 0 || k < first) {
		first = k
	}
	if first == 0 || len(run) < header+sig {
		return first
	}
	at := 0
	for {
		a, rest, ok := strings.Cut(run[at:], ".")
		b, rest, two := strings.Cut(rest, ".")
		c, _, _ := strings.Cut(rest, ".")
		if !ok || !two || first >= 0 && at >= first {
			return first
		}
		if len(a) >= header && len(b) > 0 && len(c) >= sig {
			return at
		}
		at += len(a) + 1
	}
}

// findBearers finds the words after "bearer": in an Authorization header, or as a subprotocol.
func findBearers(t text, add func(text, int, int)) {
	s := t.s
	end := 0 // of the last run of token bytes: a second bearer in it ends there too
	for i := 0; i+len(bearerScheme) < len(s); i++ {
		if s[i]|0x20 != 'b' || !strings.EqualFold(s[i:i+len(bearerScheme)], bearerScheme) {
			continue
		}
		start := i + len(bearerScheme)
		subprotocol := s[start] == '.'
		for start < len(s) && strings.IndexByte(" \t+.:=", s[start]) >= 0 {
			start++
		}
		for end = max(end, start); end < len(s) && (tokenByte(s[end]) || strings.IndexByte("~+/=", s[end]) >= 0); {
			end++ // token68, RFC 9110 §11.2
		}
		if start > i+len(bearerScheme) && (subprotocol || !word(s[start:end])) {
			add(t, start, end)
		}
	}
}

// word reports whether s is more likely a word of a sentence about bearers.
func word(s string) bool {
	if len(s) > 20 {
		return false
	}
	s = strings.TrimRight(s, ".")
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) < 16
}

// findAssignments finds the values of names that usually hold secrets: name=value, "name":"value", Name: value.
func findAssignments(t text, add func(text, int, int)) {
	s := t.s
	v := values{s: s}
	for i := range len(s) {
		if s[i] != '=' && s[i] != ':' {
			continue
		}
		if name, quoted := nameBefore(s, i); secretName(name) {
			start, end := v.after(i, name, quoted) // may reach beyond the value of another name
			add(t, start, end)
		}
	}
}

func nameBefore(s string, sep int) (name string, quoted bool) {
	const longest = 64 // the end of a name shows what it is
	end := sep
	for end > 0 && sep-end < 8 && space(s[end-1]) {
		end--
	}
	if quoted = end > 0 && (s[end-1] == '"' || s[end-1] == '\''); quoted {
		end--
	}
	start := end
	for start > 0 && end-start < longest && tokenByte(s[start-1]) {
		start--
	}
	return s[start:end], quoted
}

// secretName reports whether the value of such a name proves who somebody is.
func secretName(name string) bool {
	plain := make([]byte, 0, 64) // in lower case, without hyphens and the like
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c|0x20)
		case c != '-' && c != '_' && c != '.':
			plain = append(plain, c)
		}
	}
	for _, end := range [...]string{"token", "bearer", "secret", "password", "passwd", "apikey", "jwt", "sessionid"} {
		if strings.HasSuffix(string(plain), end) {
			return true
		}
	}
	return string(plain) == "session" || headerName(name)
}

// headerName reports whether the value of a header goes on to the end of the line.
func headerName(name string) bool {
	for _, end := range [...]string{"authorization", "cookie"} {
		if len(name) >= len(end) && strings.EqualFold(name[len(name)-len(end):], end) {
			return true
		}
	}
	return false
}

// values finds the ends of values. Values may be nested; no byte is looked at twice.
type values struct {
	s    string
	seen map[string]span // for each set of bytes: where the search for the next one began and ended
}

// until returns the place of the next byte of stop.
func (v *values) until(from int, stop string) int {
	if last, ok := v.seen[stop]; ok && last.start <= from && from <= last.end {
		return last.end
	}
	end := len(v.s)
	if n := strings.IndexAny(v.s[from:], stop); n >= 0 {
		end = from + n
	}
	if v.seen == nil {
		v.seen = make(map[string]span)
	}
	v.seen[stop] = span{from, end}
	return end
}

// after returns the bounds of the value behind s[sep]; equal ones if there is no value.
func (v *values) after(sep int, name string, quoted bool) (start, end int) {
	s := v.s
	start = sep + 1
	for start < len(s) && (quoted || s[sep] == ':') && space(s[start]) {
		start++
	}
	if start == len(s) {
		return start, start
	}
	apart := start > sep+1
	switch c := s[start]; {
	case c == '"' || c == '\'':
		return start + 1, closing(s, start)
	case c == '[' && (quoted || headerName(name)): // JSON or fmt of a http.Header
		return start + 1, v.until(start, "]\r\n")
	case c == '{' && quoted: // an object: its members are looked at by themselves
		return start, start
	case quoted:
		end = v.until(start, ",}] \t\r\n")
		if s[start:end] == "null" {
			return start, start
		}
		return start, end
	case headerName(name):
		return start, v.until(start, "\"]\r\n")
	case s[sep] == ':' && apart && !strings.Contains(name, "-"): // "… token: expected …"
		return start, start
	}
	return start, v.until(start, "& \t\r\n\"'<>")
}

// closing returns the end of the string that begins with the quote s[open].
func closing(s string, open int) int {
	for i := open + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[open]:
			return i
		}
	}
	return len(s)
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// tokenByte reports whether c is in the alphabet of base64url or a dot.
func tokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}
