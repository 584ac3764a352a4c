package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/BurntSushi/toml"
)

// readFile reads a file of keys.
func readFile(path string) (said texts, errs []error) {
	var doc map[string]any
	if _, err := toml.DecodeFile(path, &doc); err != nil {
		return nil, []error{fmt.Errorf("config (file %s): %w", path, err)}
	}
	said = make(texts)
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		given, err := textsOf(doc[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s (file %s): %w", name, path, err))
			continue
		}
		said[name] = given
	}
	return said, errs
}

// textsOf returns a TOML value in the form of the command line.
func textsOf(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case []any:
		all := []string{} // an empty list counts as set
		for _, element := range v {
			s, ok := element.(string)
			if !ok {
				return nil, errors.New("want strings in the list")
			}
			all = append(all, s)
		}
		return all, nil
	case map[string]any:
		return nil, errors.New("unknown key: there are no tables here")
	}
	return nil, errors.New("want a string, a whole number, true or false, or a list of strings")
}
