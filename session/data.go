package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

const (
	// MaxData is the size of a session's data, serialised, in bytes. A patch is
	// held to it too, as it was sent.
	MaxData = 64 << 10
	// MaxDepth is how deep its objects and arrays may nest, itself included.
	MaxDepth = 32
)

// Data is a session's data: the text of a JSON object in canonical form, its
// keys sorted, without spaces. "" is the empty object. Only [Merge] makes it.
type Data string

// String is the JSON text.
func (d Data) String() string {
	if d == "" {
		return "{}"
	}
	return string(d)
}

// Decode unmarshals the object into v, as json.Unmarshal does.
func (d Data) Decode(v any) error { return json.Unmarshal([]byte(d.String()), v) }

// MarshalJSON is String.
func (d Data) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON is Merge into the empty object.
func (d *Data) UnmarshalJSON(b []byte) error {
	merged, err := Merge("", b)
	if err != nil {
		return err
	}
	*d = merged
	return nil
}

// Merge returns old with the members of patch, a JSON object, in place of those of the same name. It is shallow: the
// value of a member is replaced as a whole. null removes a member, as in RFC 7396, and so no member is ever null (one
// inside another is kept). Of equal names in patch the last one counts. Numbers are kept as they are written, of any
// size.
//
// Errors, with old as it was: ErrDataInvalid, and ErrDataTooLarge if patch or the
// result is over MaxData bytes. It neither keeps nor changes patch.
func Merge(old Data, patch []byte) (Data, error) {
	if len(patch) > MaxData {
		return old, ErrDataTooLarge
	}
	change, err := parseObject(patch)
	if err != nil {
		return old, err
	}
	if len(change.members) == 0 {
		return old, nil
	}
	merged := merge(split([]byte(old.String())), change)
	switch {
	case len(merged) > MaxData:
		return old, ErrDataTooLarge
	case len(merged) == len("{}"):
		return "", nil
	}
	return Data(merged), nil
}

// parseObject returns a JSON object in canonical form. Depth and encoding are
// checked first: encoding/json allows 10,000 levels, and takes bytes that are not
// UTF-8, which no text message may carry.
func parseObject(b []byte) (object, error) {
	if !utf8.Valid(b) {
		return object{}, fmt.Errorf("%w: not UTF-8", ErrDataInvalid)
	}
	if depth(b) > MaxDepth {
		return object{}, fmt.Errorf("%w: nested too deep", ErrDataInvalid)
	}
	var compact bytes.Buffer
	compact.Grow(len(b))
	if err := json.Compact(&compact, b); err != nil {
		return object{}, fmt.Errorf("%w: %w", ErrDataInvalid, err)
	}
	if compact.Bytes()[0] != '{' {
		return object{}, ErrDataInvalid
	}
	o := split(compact.Bytes())
	o.canonical()
	return o, nil
}

// depth is how deep b nests, if b is JSON. If it is not, nobody will read it.
func depth(b []byte) int {
	level, deepest, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++ // an escaped quote does not end the string
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
