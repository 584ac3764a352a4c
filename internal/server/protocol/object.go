package protocol

import (
	"encoding/json"
	"strconv"
	"time"
)

// An Object is a JSON object that is being written. It is a value: every method returns the object with the member
// added. The old value must not be used again.
//
// Names are literals of our code and are written unescaped; values are escaped.
type Object struct {
	buf []byte
}

// NewObject begins a message behind dst, with its type unless typ is empty.
func NewObject(dst []byte, typ string) Object {
	o := Object{append(dst, '{')}
	if typ == "" {
		return o
	}
	return o.String("type", typ)
}

// End ends the object and returns dst with the object behind it.
func (o Object) End() []byte { return append(o.buf, '}') }

// comma separates a member from the one before it. After an opening bracket it adds nothing; no value ends with one.
func (o Object) comma() Object {
	if last := o.buf[len(o.buf)-1]; last != '{' && last != '[' {
		o.buf = append(o.buf, ',')
	}
	return o
}

func (o Object) name(name string) Object {
	o = o.comma()
	o.buf = append(append(append(o.buf, '"'), name...), '"', ':')
	return o
}

// String adds a string.
func (o Object) String(name, v string) Object {
	o = o.name(name)
	o.buf = AppendString(o.buf, v)
	return o
}

// Strings adds a list of strings; nil is an empty one.
func (o Object) Strings(name string, v []string) Object {
	o = o.OpenList(name)
	for _, s := range v {
		o = o.comma()
		o.buf = AppendString(o.buf, s)
	}
	return o.CloseList()
}

// Int adds an integer.
func (o Object) Int(name string, v int64) Object {
	o = o.name(name)
	o.buf = strconv.AppendInt(o.buf, v, 10)
	return o
}

// Uint adds an integer that is not negative.
func (o Object) Uint(name string, v uint64) Object {
	o = o.name(name)
	o.buf = strconv.AppendUint(o.buf, v, 10)
	return o
}

// Bool adds true or false.
func (o Object) Bool(name string, v bool) Object {
	o = o.name(name)
	o.buf = strconv.AppendBool(o.buf, v)
	return o
}

// Time adds a time as AppendTime writes it.
func (o Object) Time(name string, t time.Time) Object {
	o = o.name(name)
	o.buf = AppendTime(o.buf, t)
	return o
}

// Raw adds a value that is JSON already; an empty one adds nothing.
func (o Object) Raw(name string, v json.RawMessage) Object {
	if len(v) == 0 {
		return o
	}
	o = o.name(name)
	o.buf = append(o.buf, v...)
	return o
}

// ID adds the id of the message that is answered, as from Message.ID; an empty one adds nothing.
func (o Object) ID(id json.RawMessage) Object { return o.Raw("id", id) }

// Open begins an object inside this one; members that are added until Close go into it.
func (o Object) Open(name string) Object {
	o = o.name(name)
	o.buf = append(o.buf, '{')
	return o
}

// Close ends what Open or OpenItem began.
func (o Object) Close() Object {
	o.buf = append(o.buf, '}')
	return o
}

// OpenList begins a list of objects, each of them from OpenItem to Close.
func (o Object) OpenList(name string) Object {
	o = o.name(name)
	o.buf = append(o.buf, '[')
	return o
}

// OpenItem begins the next object of a list.
func (o Object) OpenItem() Object {
	o = o.comma()
	o.buf = append(o.buf, '{')
	return o
}

// CloseList ends what OpenList began.
func (o Object) CloseList() Object {
	o.buf = append(o.buf, ']')
	return o
}
