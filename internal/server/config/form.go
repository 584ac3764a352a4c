package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// form is how values of one kind are written: parse and show are each other's inverse. What show
// returns is a value in TOML.
type form[T any] struct {
	parse  func(text string) (T, error)
	show   func(v T) string
	secret bool // what was given may be a secret: it does not go into messages
}

// wrong is the error of parse, with the text it is about.
func (f form[T]) wrong(text string, err error) error {
	if f.secret {
		return err
	}
	return fmt.Errorf("%q: %w", text, err)
}

// value is a key's place in a Config.
type value struct {
	set  func(texts []string) error // takes one text, or, of a list, any number; replaces what was there
	show func() string              // as form.show
	list bool
}

// one is the place of a single value.
func one[T any](p *T, f form[T]) value {
	return value{
		set: func(texts []string) (err error) {
			if len(texts) != 1 {
				return errors.New("want one value, not a list")
			}
			v, err := f.parse(texts[0])
			if err != nil {
				return f.wrong(texts[0], err)
			}
			*p = v
			return nil
		},
		show: func() string { return f.show(*p) },
	}
}

// many is the place of a list.
func many[T any](p *[]T, f form[T]) value {
	return value{
		set: func(texts []string) error {
			var all []T
			for _, text := range texts {
				v, err := f.parse(text)
				if err != nil {
					return f.wrong(text, err)
				}
				all = append(all, v)
			}
			*p = all
			return nil
		},
		show: func() string {
			var shown []string
			for _, v := range *p {
				shown = append(shown, f.show(v))
			}
			return "[" + strings.Join(shown, ", ") + "]"
		},
		list: true,
	}
}

// count takes whole numbers from least to most.
func count(least, most int) form[int] {
	return form[int]{
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if err != nil || n < least || n > most {
				return 0, fmt.Errorf("want a whole number from %d to %d", least, most)
			}
			return n, nil
		},
		show: strconv.Itoa,
	}
}

// orAuto adds "auto" to a form: the zero value, for which the engine finds a value by itself.
func orAuto[T comparable](f form[T]) form[T] {
	const auto = "auto"
	return form[T]{
		parse: func(text string) (v T, err error) {
			if text == auto {
				return v, nil
			}
			if v, err = f.parse(text); err != nil {
				err = fmt.Errorf("%w, or %s", err, auto)
			}
			return v, err
		},
		show: func(v T) string {
			var zero T
			if v == zero {
				return strconv.Quote(auto)
			}
			return f.show(v)
		},
	}
}

// limit turns a form whose 0 means no limit into one whose −1 does.
func limit[T int | int64 | time.Duration](f form[T]) form[T] {
	return form[T]{
		parse: func(text string) (T, error) {
			v, err := f.parse(text)
			if v == 0 && err == nil {
				v = -1
			}
			return v, err
		},
		show: func(v T) string { return f.show(max(v, 0)) },
	}
}

// units of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// size takes bytes.
func size[T int | int64]() form[T] {
	return form[T]{
		parse: func(text string) (T, error) {
			digits, unit := text, int64(1)
			for _, u := range units {
				if rest, ok := strings.CutSuffix(text, u.name); ok {
					digits, unit = strings.TrimSuffix(rest, " "), u.bytes
					break
				}
			}
			n, err := strconv.ParseUint(digits, 10, 63)
			v := T(int64(n) * unit)
			if err != nil || n > uint64(math.MaxInt64/unit) || int64(v) != int64(n)*unit { // an int may be shorter
				return 0, errors.New("want bytes, as in 65536, 64KiB, 1MiB or 2GiB")
			}
			return v, nil
		},
		show: func(v T) string {
			for _, u := range units {
				if v >= T(u.bytes) && v%T(u.bytes) == 0 && u.bytes > 1 {
					return strconv.Quote(strconv.FormatInt(int64(v)/u.bytes, 10) + u.name)
				}
			}
			return strconv.FormatInt(int64(v), 10)
		},
	}
}

// duration takes 0 and what a timer can tell from it, up to about 290 years.
func duration() form[time.Duration] {
	return form[time.Duration]{
		parse: func(text string) (time.Duration, error) {
			d, err := time.ParseDuration(text)
			if err != nil || d < 0 || d > 0 && d < time.Millisecond {
				return 0, errors.New("want a time, as in 500ms, 10s or 24h")
			}
			return d, nil
		},
		show: func(d time.Duration) string {
			text := d.String() // 24h0m0s
			if strings.HasSuffix(text, "m0s") {
				text = strings.TrimSuffix(text, "0s")
			}
			if strings.HasSuffix(text, "h0m") {
				text = strings.TrimSuffix(text, "0m")
			}
			return strconv.Quote(text)
		},
	}
}

func boolean() form[bool] {
	return form[bool]{
		parse: func(text string) (bool, error) {
			b, err := strconv.ParseBool(text)
			if err != nil {
				return false, errors.New("want true or false")
			}
			return b, nil
		},
		show: strconv.FormatBool,
	}
}

// not is for a field that says the opposite of its key.
func not(f form[bool]) form[bool] {
	return form[bool]{
		parse: func(text string) (bool, error) {
			b, err := f.parse(text)
			return !b, err
		},
		show: func(b bool) string { return f.show(!b) },
	}
}

// choice takes one of some words.
func choice[T comparable](words []string, meaning []T) form[T] {
	return form[T]{
		parse: func(text string) (v T, err error) {
			for i, w := range words {
				if w == text {
					return meaning[i], nil
				}
			}
			return v, errors.New("want " + strings.Join(words, " or "))
		},
		show: func(v T) string {
			for i, m := range meaning {
				if m == v {
					return strconv.Quote(words[i])
				}
			}
			return `""`
		},
	}
}

// text takes any string that check likes; nil likes all.
func text(check func(s string) error) form[string] {
	return form[string]{
		parse: func(s string) (string, error) {
			if err := printable(s); err != nil {
				return "", err
			}
			if check == nil {
				return s, nil
			}
			return s, check(s)
		},
		show: strconv.Quote,
	}
}
