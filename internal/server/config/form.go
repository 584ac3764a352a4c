package config

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// form reads and writes values of one kind: show is the inverse of parse, and returns TOML.
type form[T any] struct {
	parse  func(text string) (T, error)
	show   func(v T) string
	secret bool // the text may be a secret: error messages leave it out
}

// wrong makes the error of parse, with the text unless it may be a secret.
func (f form[T]) wrong(text string, err error) error {
	if f.secret {
		return err
	}
	return fmt.Errorf("%q: %w", text, err)
}

// value is a key's place in a Config.
type value struct {
	set  func(texts []string) error // takes one text, or any number for a list; replaces the value
	show func() string              // as form.show
	list bool
}

// one makes the place of a single value.
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

// many makes the place of a list.
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
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < least || n > most {
				return 0, fmt.Errorf("want a whole number from %d to %d", least, most)
			}
			return n, nil
		},
		show: strconv.Itoa,
	}
}

// orAuto adds "auto" to a form: the zero value, for which the engine chooses a value.
func orAuto[T comparable](f form[T]) form[T] {
	const auto = "auto"
	return form[T]{
		parse: func(text string) (v T, err error) {
			if strings.EqualFold(strings.TrimSpace(text), auto) {
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

// limit changes a form in which 0 means no limit into one in which −1 does.
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

// units of sizes, the largest first: as they are shown, and other ways to write them, in any case. All are powers of
// 1024: 64K means that to most people.
var units = []struct {
	name    string
	aliases []string
	bytes   int64
}{
	{"GiB", []string{"g", "gb"}, 1 << 30}, {"MiB", []string{"m", "mb"}, 1 << 20}, {"KiB", []string{"k", "kb"}, 1 << 10},
	{"B", []string{""}, 1},
}

// size takes a number of bytes.
func size[T int | int64]() form[T] {
	return form[T]{
		parse: func(text string) (T, error) {
			n, ok := parseSize(text)
			if !ok || int64(T(n)) != n { // an int may be shorter
				return 0, errors.New("want bytes, as in 65536, 64KiB, 1M or 1.5GiB (K, M and G are powers of 1024)")
			}
			return T(n), nil
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

// parseSize reads digits and a unit. A fraction is allowed if it makes whole bytes.
func parseSize(text string) (n int64, ok bool) {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	number, name := text[:end], strings.ToLower(strings.TrimSpace(text[end:]))
	if number == "" || number[0] == '.' || number[len(number)-1] == '.' || len(number) > 40 {
		return 0, false
	}
	bytes, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, false
	}
	for _, u := range units {
		if name == strings.ToLower(u.name) || slices.Contains(u.aliases, name) {
			bytes.Mul(bytes, new(big.Rat).SetInt64(u.bytes))
			return bytes.Num().Int64(), bytes.IsInt() && bytes.Num().IsInt64()
		}
	}
	return 0, false
}

// Duration reads a time as the keys of perchd take it: 0, or from a millisecond to about 290 years.
func Duration(text string) (time.Duration, error) { return duration().parse(text) }

// duration takes 0, or from a millisecond to about 290 years.
func duration() form[time.Duration] {
	return form[time.Duration]{
		parse: func(text string) (time.Duration, error) {
			text = strings.Join(strings.Fields(text), "")
			d, err := time.ParseDuration(text)
			if _, bare := strconv.ParseFloat(text, 64); err != nil && bare == nil {
				return 0, fmt.Errorf("want a time with its unit, as in %ss, or 500ms, 10s or 24h", text)
			}
			if err != nil || d < 0 || d > 0 && d < time.Millisecond {
				return 0, errors.New("want a time, as in 500ms, 10s or 24h")
			}
			return d, nil
		},
		show: func(d time.Duration) string {
			text := d.String() // such as 24h0m0s
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
			switch strings.ToLower(strings.TrimSpace(text)) {
			case "true", "1", "t", "yes", "on":
				return true, nil
			case "false", "0", "f", "no", "off":
				return false, nil
			}
			return false, errors.New("want true or false")
		},
		show: strconv.FormatBool,
	}
}

// not is for a field whose meaning is the opposite of its key.
func not(f form[bool]) form[bool] {
	return form[bool]{
		parse: func(text string) (bool, error) {
			b, err := f.parse(text)
			return !b, err
		},
		show: func(b bool) string { return f.show(!b) },
	}
}

// choice takes one of several words, in any case.
func choice[T comparable](words []string, meaning []T) form[T] {
	return form[T]{
		parse: func(text string) (v T, err error) {
			for i, w := range words {
				if strings.EqualFold(w, strings.TrimSpace(text)) {
					return meaning[i], nil
				}
			}
			return v, errors.New("want " + strings.Join(words, " or ") + didYouMean(strings.TrimSpace(text), "", words))
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

// trimmed ignores space around the text.
func trimmed[T any](f form[T]) form[T] {
	parse := f.parse
	f.parse = func(text string) (T, error) { return parse(strings.TrimSpace(text)) }
	return f
}

// text takes any string that check accepts; nil accepts all.
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
