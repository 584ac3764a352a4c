package config

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"
)

// readFlags reads the command line: --key value, --key=value, one hyphen or two. A key that is true or false may
// stand without a value. If a key that takes one value is given twice the last one counts, as is the custom.
// flag.ErrHelp and ErrVersion come alone, without other errors.
func readFlags(args []string) (said texts, errs []error) {
	said = make(texts)
	keys := map[string]key{configKey: {name: configKey, operand: "file"}}
	lists := make(map[string]bool)
	new(Config).all(func(k key, v value) { keys[k.name], lists[k.name] = k, v.list })
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, text, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		k, known := keys[name]
		switch {
		case arg == "--" || !strings.HasPrefix(arg, "-"):
			errs = append(errs, fmt.Errorf("unexpected argument %q: a verb stands first, and flags begin with --", arg))
			continue
		case name == "help" || name == "h":
			return nil, []error{flag.ErrHelp}
		case name == "version":
			return nil, []error{ErrVersion}
		case !known:
			errs = append(errs, unknownFlag(name, keys))
			if !given && len(args) > 0 && !isFlag(args[0]) { // most likely it is the value of the unknown flag
				args = args[1:]
			}
			continue
		case given:
		case k.operand == "":
			text = "true"
			if len(args) > 0 && isBoolean(args[0]) {
				text, args = args[0], args[1:]
			}
		case len(args) == 0:
			errs = append(errs, fmt.Errorf("%s (--%s): want a value: --%s %s", name, name, name, k.operand))
			continue
		case isFlag(args[0]):
			next, _, _ := strings.Cut(args[0], "=")
			errs = append(errs, fmt.Errorf("%s (--%s): want a value, and there is the flag %s", name, name, next))
			continue
		default:
			text, args = args[0], args[1:]
		}
		if lists[name] {
			said[name] = append(said[name], text)
		} else {
			said[name] = []string{text}
		}
	}
	return said, errs
}

var flagForm = regexp.MustCompile(`^--[a-z][a-z0-9-]*(=|$)`)

// isFlag reports whether an argument is a flag. A value may begin with a hyphen, too.
func isFlag(arg string) bool { return flagForm.MatchString(arg) }

func isBoolean(arg string) bool {
	_, err := boolean().parse(arg)
	return err == nil
}

func unknownFlag(name string, keys map[string]key) error {
	if rest, ok := strings.CutPrefix(name, "no-"); ok {
		if k, known := keys[rest]; known && k.operand == "" {
			return fmt.Errorf("--%s: unknown flag; say --%s=false", name, rest)
		}
	}
	names := []string{"help", "version"}
	for k := range keys {
		names = append(names, k)
	}
	return errors.New("--" + name + ": unknown flag" + didYouMean(name, "--", names))
}
