package handshake

import "bytes"

// list walks the elements of a comma-separated header (#rule, RFC 9110 §5.6.1)
// over all its lines. Empty elements are passed over.
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
		if i = bytes.IndexByte(l.rest, ','); i < 0 {
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
