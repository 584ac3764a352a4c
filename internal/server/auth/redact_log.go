package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"time"
)

// RedactHandler returns a handler that passes every record on to next without secrets. It applies Redact to the
// message and to the printed form of attributes, and replaces whole values of attributes with names like token,
// cookie or password.
func RedactHandler(next slog.Handler) slog.Handler {
	if h, ok := next.(redactHandler); ok {
		return h
	}
	return redactHandler{next}
}

type redactHandler struct{ next slog.Handler }

func (h redactHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h redactHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redactHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return redactHandler{h.next.WithAttrs(redactAttrs(attrs))}
}

func (h redactHandler) WithGroup(name string) slog.Handler {
	return redactHandler{h.next.WithGroup(name)}
}

func redactAttrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return clean
}

func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		return slog.Attr{Key: Redact(a.Key), Value: slog.GroupValue(redactAttrs(v.Group())...)}
	case slog.KindString:
		if v.String() != "" && secretName(a.Key) {
			v = slog.StringValue(redacted)
		} else {
			v = slog.StringValue(Redact(v.String()))
		}
	case slog.KindAny:
		if v.Any() != nil && secretName(a.Key) {
			v = slog.StringValue(redacted)
		} else {
			v = redactAny(v.Any())
		}
	}
	return slog.Attr{Key: Redact(a.Key), Value: v}
}

// redactAny keeps a value if no form in which a handler prints it shows a secret: its text, its JSON, or bytes inside
// it as numbers or base64. Else it becomes a string.
func redactAny(x any) (v slog.Value) {
	defer func() {
		if recover() != nil { // the String method of a nil pointer, which slog expects too
			v = slog.StringValue("[unprintable]")
		}
	}()
	switch x := x.(type) {
	case nil, *slog.Source:
		return slog.AnyValue(x)
	case error:
		return slog.StringValue(Redact(x.Error()))
	case []byte:
		if s := string(x); Redact(s) != s {
			return slog.StringValue(Redact(s))
		}
		return slog.AnyValue(x)
	}
	if budget := 1000; secretBytes(reflect.ValueOf(x), 10, &budget) {
		return slog.StringValue(redacted)
	}
	shown := fmt.Sprintf("%+v", x)
	encoded, err := json.Marshal(x)
	if err == nil && Redact(string(encoded)) != string(encoded) {
		if _, ok := x.(fmt.Stringer); !ok {
			shown = string(encoded)
		}
		return slog.StringValue(Redact(shown))
	}
	if clean := Redact(shown); clean != shown {
		return slog.StringValue(clean)
	}
	return slog.AnyValue(x)
}

// secretBytes looks for byte slices with secrets, depth levels down and in budget values at most. Beyond that it
// assumes that there is one.
func secretBytes(v reflect.Value, depth int, budget *int) bool {
	if *budget--; depth < 0 || *budget < 0 {
		return true
	}
	switch v.Kind() {
	case reflect.Invalid: // a nil interface
		return false
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && secretBytes(v.Elem(), depth-1, budget)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() { // it contains the whole history of a time zone
			return false
		}
		for i := range v.NumField() {
			if secretBytes(v.Field(i), depth-1, budget) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if secretBytes(it.Value(), depth-1, budget) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		switch elem := v.Type().Elem().Kind(); {
		case elem == reflect.Uint8:
			b := make([]byte, v.Len())
			for i := range b {
				b[i] = byte(v.Index(i).Uint())
			}
			return Redact(string(b)) != string(b)
		case elem < reflect.Array || elem == reflect.String: // kinds whose elements cannot hold bytes
			return false
		}
		for i := range v.Len() {
			if secretBytes(v.Index(i), depth-1, budget) {
				return true
			}
		}
	}
	return false
}
