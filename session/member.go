package session

import (
	"bytes"
	"encoding/json"
	"slices"
)

// object is the text of a compact JSON object and where its members are in it.
// Maps would do, at ten times the price: a client may send thousands of members,
// and its loop has others to serve.
type object struct {
	text    []byte
	members []member
}

// member is a name, with its quotes, and a value: text[name:nameEnd] and
// text[value:valueEnd]. Without pointers, so that the collector need not look.
type member struct {
	name, nameEnd, value, valueEnd uint32
}

// split finds the members of an object that is known to be valid and compact.
func split(text []byte) object {
	o := object{text: text}
	for at := 1; text[at] == '"'; { // after the brace, or a comma
		colon := at + stringLen(text[at:])
		end := colon + 1 + valueLen(text[colon+1:])
		o.members = append(o.members, member{uint32(at), uint32(colon), uint32(colon + 1), uint32(end)})
		if text[end] == '}' {
			break
		}
		at = end + 1
	}
	return o
}

// valueLen is the length of the value that b begins with: to the comma or the
// bracket that is outside of it.
func valueLen(b []byte) int {
	level := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringLen(b[i:]) - 1
		case '{', '[':
			level++
		case '}', ']':
			if level == 0 {
				return i
			}
			level--
		case ',':
			if level == 0 {
				return i
			}
		}
	}
	return len(b)
}

// stringLen is the length of the string that b begins with, quotes included.
func stringLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++ // an escaped quote does not end it
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func (o *object) name(i int) []byte { return o.text[o.members[i].name:o.members[i].nameEnd] }

// canonical gives equal names equal texts ("\u0061" becomes "a"), sorts the
// members by them, and leaves the last of equal ones.
func (o *object) canonical() {
	for i := range o.members {
		m := &o.members[i]
		if name := o.name(i); !isCanonical(name) {
			m.name = uint32(len(o.text))
			o.text = append(o.text, canonicalName(name)...)
			m.nameEnd = uint32(len(o.text))
		}
	}
	slices.SortFunc(o.members, func(a, b member) int {
		if order := bytes.Compare(o.text[a.name:a.nameEnd], o.text[b.name:b.nameEnd]); order != 0 {
			return order
		}
		return int(a.value) - int(b.value)
	})
	kept := 0
	for i := range o.members {
		if i+1 == len(o.members) || !bytes.Equal(o.name(i), o.name(i+1)) {
			o.members[kept] = o.members[i]
			kept++
		}
	}
	o.members = o.members[:kept]
}

// isCanonical reports whether the encoder would write this name in the same way. It escapes only the characters that
// it must, and the two line separators.
func isCanonical(name []byte) bool {
	return !bytes.ContainsRune(name, '\\') && !bytes.ContainsRune(name, '\u2028') && !bytes.ContainsRune(name, '\u2029')
}

func canonicalName(name []byte) []byte {
	var decoded string
	if err := json.Unmarshal(name, &decoded); err != nil {
		return name // never reached: the name was valid
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(decoded); err != nil {
		return name // never reached: every string can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// merge returns the text of old with change over it. Both are canonical.
func merge(old, change object) []byte {
	dst := make([]byte, 1, len(old.text)+len(change.text))
	dst[0] = '{'
	for i, j := 0, 0; i < len(old.members) || j < len(change.members); {
		order := 0 // which has the next name: negative, old; 0, both; positive, change
		switch {
		case j == len(change.members):
			order = -1
		case i == len(old.members):
			order = 1
		default:
			order = bytes.Compare(old.name(i), change.name(j))
		}
		if order < 0 {
			dst = old.appendMember(dst, i)
			i++
			continue
		}
		dst = change.appendMember(dst, j)
		j++
		if order == 0 {
			i++
		}
	}
	return append(dst, '}')
}

// appendMember appends a member, unless it is null: null removes it.
func (o *object) appendMember(dst []byte, i int) []byte {
	value := o.text[o.members[i].value:o.members[i].valueEnd]
	if string(value) == "null" {
		return dst
	}
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(append(dst, o.name(i)...), ':')
	return append(dst, value...)
}
