package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Limits on messages of clients. The engine limits the size of a whole message.
const (
	MaxDepth   = 32  // levels of objects and arrays, the message itself included
	MaxMembers = 128 // of an object that is read: a resume may name the 100 rooms of a connection
	MaxType    = 64  // bytes of "type"
	MaxScalar  = 128 // bytes, as written, of an "id" or another value that is only given back
)

// A Message is a JSON object from a client. It is a view of the bytes from which it was parsed, and valid as long as
// they are. The zero Message has no members.
type Message struct {
	text    []byte
	members []member // in the order written
}

// A member has the places of a name, without its quotes, and of its value in the text.
type member struct{ name, nameEnd, value, valueEnd int }

// Parse reads one message, and does not change p. The error is an *Error with CodeInvalidJSON,
// CodeNotAnObject, CodeTooDeep or CodeTooManyMembers.
func Parse(p []byte) (Message, error) {
	// The engine has checked text messages; binary messages may contain anything.
	if !utf8.Valid(p) {
		return Message{}, &Error{Code: CodeInvalidJSON, Message: "The message is not UTF-8."}
	}
	s := scanner{text: p}
	m := Message{text: p}
	var code Code
	object := s.next() == '{'
	if object {
		m.members, code = s.members()
	} else {
		code = s.value(1)
	}
	if s.next(); code == "" && s.pos < len(p) {
		code = CodeInvalidJSON
	}
	switch {
	case code == CodeInvalidJSON:
		return Message{}, &Error{Code: code, Message: fmt.Sprintf("The message is not valid JSON, at byte %d.", s.pos)}
	case code != "":
		return Message{}, &Error{Code: code}
	case !object:
		return Message{}, &Error{Code: CodeNotAnObject}
	}
	return m, nil
}

// Raw returns the value of a member as it was written; nil if it is absent or null.
func (m Message) Raw(name string) json.RawMessage {
	for i := len(m.members) - 1; i >= 0; i-- {
		if !m.named(i, name) {
			continue
		}
		raw := m.raw(i)
		if raw[0] == 'n' {
			return nil
		}
		return raw
	}
	return nil
}

func (m Message) raw(i int) json.RawMessage {
	return m.text[m.members[i].value:m.members[i].valueEnd:m.members[i].valueEnd]
}

// name is the name of a member as it was written, escapes and all.
func (m Message) name(i int) []byte { return m.text[m.members[i].name:m.members[i].nameEnd] }

func (m Message) named(i int, name string) bool {
	written := m.name(i)
	if string(written) == name {
		return true
	}
	// "typ\u0065" is "type" too.
	return len(written) <= maxEscape*len(name) && bytes.IndexByte(written, '\\') >= 0 && unquote(written) == name
}

// Each calls f with the members in the order in which they were written. If f returns an error, Each stops and
// returns it. Of members with the same name f gets the last. It also gets members that are null. raw is valid as long
// as the message is.
func (m Message) Each(f func(name string, raw json.RawMessage) error) error {
	names := make([]string, len(m.members))
	last := make(map[string]int, len(m.members))
	for i := range m.members {
		names[i] = unquote(m.name(i))
		last[names[i]] = i
	}
	for i, name := range names {
		if last[name] != i {
			continue
		}
		if err := f(name, m.raw(i)); err != nil {
			return err
		}
	}
	return nil
}

// Type returns the member "type". For a type in the tables of this package it does not allocate.
func (m Message) Type() (string, error) {
	const name = "type"
	if raw := m.Raw(name); len(raw) > 2 && raw[0] == '"' {
		if t, ok := knownTypes[string(raw[1:len(raw)-1])]; ok {
			return t, nil
		}
	}
	return m.String(name, MaxType, true)
}

// String returns a member that is a string of at most most bytes, without escapes. An absent one is "" and no error,
// unless it is required. Errors have CodeMissingField, CodeWrongType or CodeTooLong.
func (m Message) String(name string, most int, required bool) (string, error) {
	raw := m.Raw(name)
	switch {
	case raw == nil && required:
		return "", missing(name)
	case raw == nil:
		return "", nil
	case raw[0] != '"':
		return "", wrongType(name, "a string")
	}
	inside := raw[1 : len(raw)-1]
	if len(inside) > maxEscape*most {
		return "", tooLong(name, most) // too long in any case, so it need not be read
	}
	s := unquote(inside)
	if len(s) > most {
		return "", tooLong(name, most)
	}
	return s, nil
}

// Bool returns a member that is true or false, def if it is absent. An error has CodeWrongType.
func (m Message) Bool(name string, def bool) (bool, error) {
	raw := m.Raw(name)
	switch {
	case raw == nil:
		return def, nil
	case raw[0] != 't' && raw[0] != 'f':
		return def, wrongType(name, "true or false")
	}
	return raw[0] == 't', nil
}

// Uint64 returns a member that is an integer from 0 to 2⁶⁴-1, written without fraction and exponent. ok says whether
// the member is there. An error has CodeWrongType.
func (m Message) Uint64(name string) (v uint64, ok bool, err error) {
	raw := m.Raw(name)
	if raw == nil {
		return 0, false, nil
	}
	v, err = strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, false, wrongType(name, "an integer from 0 to 2^64-1")
	}
	return v, true, nil
}

// Object returns a member that is an object, to be read in the same way; ok says whether the member is there. The
// object is valid as long as m. Errors have CodeWrongType or CodeTooManyMembers.
func (m Message) Object(name string) (o Message, ok bool, err error) {
	raw := m.Raw(name)
	switch {
	case raw == nil:
		return Message{}, false, nil
	case raw[0] != '{':
		return Message{}, false, wrongType(name, "an object")
	}
	s := scanner{text: raw}
	members, code := s.members()
	if code != "" {
		return Message{}, false, &Error{Code: code, Field: name}
	}
	return Message{text: raw, members: members}, true, nil
}

// Scalar returns a member that is a string or a number, of at most MaxScalar bytes without quotes, as it was written.
// It is for values that are only given back, like the timestamp of a ping. It is nil if the member is absent, and
// valid as long as m. Errors have CodeWrongType or CodeTooLong.
func (m Message) Scalar(name string) (json.RawMessage, error) {
	raw := m.Raw(name)
	size := len(raw)
	switch {
	case raw == nil:
		return nil, nil
	case raw[0] == '"':
		size -= len(`""`)
	case raw[0] != '-' && (raw[0] < '0' || '9' < raw[0]):
		return nil, wrongType(name, "a string or a number")
	}
	if size > MaxScalar {
		return nil, tooLong(name, MaxScalar)
	}
	return raw, nil
}

// ID returns the client's "id" for the answer, as it was written; nil if there is none, or if CheckID refuses it. It
// is valid as long as m.
func (m Message) ID() json.RawMessage {
	id, _ := m.Scalar("id")
	return id
}

// CheckID returns an error, CodeWrongType or CodeTooLong, if there is an "id" that is neither a
// string nor a number, or over MaxScalar.
func (m Message) CheckID() error {
	_, err := m.Scalar("id")
	return err
}
