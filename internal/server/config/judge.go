package config

import (
	"errors"
	"slices"
	"strings"
)

// A verdict is the result for settings that break a rule.
type verdict string

const (
	refused verdict = "refused" // they cannot work, or are dangerous: perchd does not start
	warned  verdict = "warned"  // they work, but were hardly meant
)

// rule finds settings that make no sense: the value of one key, or of several that depend on each other.
type rule struct {
	keys    string // the first is the one to change; the others are shown too
	verdict verdict
	broken  test
	says    string // the fault, and the mend
}

// test reports whether a rule is broken. It returns a string for each break: the value that breaks it, or "".
type test func(c *Config, f *Facts) (by []string)

// when makes a test of the keys alone.
func when(bad func(c *Config) bool) test {
	return seen(func(c *Config, _ *Facts) bool { return bad(c) })
}

// seen makes a test that breaks at most once.
func seen(bad func(c *Config, f *Facts) bool) test {
	return func(c *Config, f *Facts) []string {
		if bad(c, f) {
			return []string{""}
		}
		return nil
	}
}

// Judge checks the settings by all rules (docs/configuration.md). The error joins the reasons to refuse them, one line
// each; with warnings perchd starts.
func (c *Config) Judge(f Facts) (warnings []string, err error) {
	var errs []error
	for _, r := range rules {
		for _, by := range r.broken(c, &f) {
			found := c.complaint(&r, by)
			if r.verdict == refused {
				errs = append(errs, found)
			} else {
				warnings = append(warnings, found.Error())
			}
		}
	}
	return warnings, errors.Join(errs...)
}

// complaint names the key with its source, and shows the values concerned.
func (c *Config) complaint(r *rule, by string) error {
	names := strings.Fields(r.keys)
	values := make([]string, len(names))
	c.all(func(k key, v value) {
		if i := slices.Index(names, k.name); i >= 0 {
			values[i] = k.name + " = " + v.show()
			if i > 0 {
				values[i] += " (" + c.Source(k.name) + ")"
			}
		}
	})
	if names[0] == configKey {
		values[0] = c.File
	}
	if by != "" {
		by += ": "
	}
	return c.Errorf(names[0], "%s%s [%s]", by, r.says, strings.Join(values, ", "))
}

// told reports whether a key was set.
func (c *Config) told(key string) bool { return c.sources[key] != byDefault }

// Rule is a row of the list of rules, for documents.
type Rule struct {
	Keys    []string
	Verdict string
	Says    string
}

// Rules returns all rules, in the order in which they are checked.
func Rules() (all []Rule) {
	for _, r := range rules {
		all = append(all, Rule{strings.Fields(r.keys), string(r.verdict), r.says})
	}
	return all
}
