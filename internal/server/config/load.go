package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// ErrVersion means that the command line asked for the version and for nothing else.
var ErrVersion = errors.New("config: version asked for")

// texts are the values of a source: for each key its texts, in order.
type texts map[string][]string

// Load reads the command line (without the name of the program), the environment in the form of os.Environ, and the
// file that one of the two names by the key config. The error joins all faults of single values, one line each, or is
// flag.ErrHelp or ErrVersion. Judge finds the settings that do not go together.
func Load(args, environ []string) (*Config, error) {
	c := &Config{sources: make(map[string]string)}
	flags, errs := readFlags(args)
	if flags == nil {
		return nil, errs[0]
	}
	variables, bad := readEnvironment(environ)
	errs = append(errs, bad...)
	path, where := flags[configKey], "--config"
	if path == nil {
		path, where = variables[configKey], "PERCH_CONFIG"
	}
	delete(flags, configKey)
	delete(variables, configKey)

	c.all(func(k key, v value) { c.take(k, v, k.standards(), byDefault) })
	if path != nil {
		c.File, c.sources[configKey] = path[0], where
		said, bad := readFile(path[0])
		errs = append(errs, bad...)
		errs = append(errs, c.layer(said, func(key) string { return "file " + path[0] })...)
	}
	errs = append(errs, c.layer(variables, key.env)...)
	errs = append(errs, c.layer(flags, func(k key) string { return "--" + k.name })...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c.derive()
	return c, nil
}

// derive sets keys without a value from those that go together with them.
func (c *Config) derive() {
	const interval, timeout = "ping-interval", "ping-timeout"
	e := &c.Engine
	switch {
	case c.told(interval) && !c.told(timeout):
		e.PingTimeout = -1
		if e.PingInterval > 0 {
			e.PingTimeout = 2 * min(e.PingInterval, math.MaxInt64/2)
		}
		c.sources[timeout] = "from " + interval
	case c.told(timeout) && !c.told(interval) && e.PingTimeout > 0:
		e.PingInterval = max(e.PingTimeout/2, 1)
		c.sources[interval] = "from " + timeout
	}
	if size := e.MaxMessageSize; !c.told("bytes-per-second") && (size < 0 || size > e.Rate.Bytes) {
		e.Rate.Bytes = size // else a message of the allowed size would be over the rate
		c.sources["bytes-per-second"] = "from max-message-size"
	}
}

// configKey is the name of the key for the file with the other keys.
const configKey = "config"

// byDefault is the source of a value that nobody has set.
const byDefault = "default"

// standards is the default in the form of a source.
func (k key) standards() []string {
	if k.standard == "" && k.at(new(Config)).list {
		return nil
	}
	return []string{k.standard}
}

// layer puts the values of one source into c.
func (c *Config) layer(said texts, source func(k key) string) (errs []error) {
	c.all(func(k key, v value) {
		if given, ok := said[k.name]; ok {
			if err := c.take(k, v, given, source(k)); err != nil {
				errs = append(errs, err)
			}
			delete(said, k.name)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(said)) {
		errs = append(errs, fmt.Errorf("%s (%s): unknown key%s", name, source(key{name: name}), didYouMean(name, "", keyNames())))
	}
	return errs
}

// keyNames are the names of all keys.
func keyNames() (names []string) {
	new(Config).all(func(k key, _ value) { names = append(names, k.name) })
	return names
}

func (c *Config) take(k key, v value, given []string, source string) error {
	c.sources[k.name] = source
	if err := v.set(given); err != nil {
		return c.Errorf(k.name, "%w", err)
	}
	return nil
}

// readEnvironment reads the variables that begin with PERCH_. An empty variable counts as not set; commas separate
// the items of a list.
func readEnvironment(environ []string) (texts, []error) {
	lists := map[string]bool{"PERCH_CONFIG": false}
	names := map[string]string{"PERCH_CONFIG": configKey}
	new(Config).all(func(k key, v value) { lists[k.env()], names[k.env()] = v.list, k.name })
	said := make(texts)
	var errs []error
	for _, line := range environ {
		variable, text, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(variable, "PERCH_") || text == "" || foreign(variable, text) {
			continue
		}
		name, known := names[variable]
		switch {
		case !known:
			errs = append(errs, fmt.Errorf("%s: unknown key%s", variable, didYouMean(variable, "", slices.Sorted(maps.Keys(names)))))
		case lists[variable]:
			for part := range strings.SplitSeq(text, ",") {
				said[name] = append(said[name], strings.TrimSpace(part))
			}
		default:
			said[name] = []string{text}
		}
	}
	return said, errs
}

// links are the variables that Kubernetes sets for a service named perch, or perch-something.
var links = regexp.MustCompile(`^PERCH_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// foreign reports whether a variable is not meant for perchd, so that it is no typing error.
func foreign(variable, text string) bool {
	return links.MatchString(variable) || strings.HasSuffix(variable, "_PORT") && strings.Contains(text, "://")
}
