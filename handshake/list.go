package handshake

import "bytes"

// list walks the elements of a comma-separated header (#rule, RFC 9110 §5.6.1)
// over all its lines. Empty elements are passed over. In Sec-WebSocket-Extensions a
// comma may stand within quotes (RFC 6455 §9.1), elsewhere they mean nothing.
type list struct {
	h    Head
	kind kind
	next int    // line to open next
	rest []byte // of the open line
}

func (h Head) list(k kind) list {
	first := h.p.first[k]
	if first == 0 {
		return list{h: h, next: h.Len()}
	}
	return list{h: h, kind: k, next: int(first) - 1}
}

// element returns the next element; ok is false after the last one.
func (l *list) element() (e []byte, ok bool) {
	for {
		i := 0
		for i < len(l.rest) && (l.rest[i] == ',' || l.rest[i] == ' ' || l.rest[i] == '\t') {
			i++
		}
		l.rest = l.rest[i:]
		if len(l.rest) == 0 {
			if !l.open() {
				return nil, false
			}
			continue
		}
		if l.kind == kindExtensions {
			i = unquoted(l.rest, ',')
		} else if i = bytes.IndexByte(l.rest, ','); i < 0 {
			i = len(l.rest)
		}
		e, l.rest = trim(l.rest[:i]), l.rest[i:]
		return e, true
	}
}

// open moves to the next line of the kind.
func (l *list) open() bool {
	for ; l.next < l.h.Len(); l.next++ {
		if l.h.p.kinds[l.next] == l.kind {
			l.rest = l.h.value(l.next)
			l.next++
			return true
		}
	}
	return false
}

// empty reports whether no element is left.
func (l *list) empty() bool {
	_, ok := l.element()
	return !ok
}

// lists reports whether a list has the token, given in lower case, in any case.
func (h Head) lists(k kind, token string) bool {
	for l := h.list(k); ; {
		e, ok := l.element()
		if !ok {
			return false
		}
		if equalFold(e, token) {
			return true
		}
	}
}

// unquoted is where in b the first c stands that is not within a quoted-string (RFC
// 9110 §5.6.4), len(b) if nowhere.
func unquoted(b []byte, c byte) int {
	quotes := false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			quotes = !quotes
		case quotes && b[i] == '\\':
			i++
		case !quotes && b[i] == c:
			return i
		}
	}
	return len(b)
}

// cutUnquoted is bytes.Cut at what unquoted finds.
func cutUnquoted(b []byte, c byte) (before, after []byte, found bool) {
	if i := unquoted(b, c); i < len(b) {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// unquote is what a token or a quoted-string says, in buf if it is the latter. ok is
// false for what is neither, or does not fit.
func unquote(b, buf []byte) (value []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return b, true
	}
	value = buf[:0]
	for i := 1; i < len(b) && len(value) < cap(buf); i++ {
		switch c := b[i]; c {
		case '"':
			return value, i == len(b)-1
		case '\\':
			if i++; i < len(b) {
				value = append(value, b[i])
			}
		default:
			value = append(value, c)
		}
	}
	return nil, false
}
