package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perchws/perch"
)

// options is what the command line and the environment ask for.
type options struct {
	engine   perch.Config
	logJSON  bool
	deadline time.Duration // for shutting down; 0: no limit
	version  bool
}

// setting is one key: the flag --name, the variable PERCH_NAME, and how a value gets into options.
type setting struct {
	name, usage string
	boolean     bool // --name alone means true
	list        bool // the flag may be repeated; the variable separates by commas
	set         func(o *options, value string) error
}

// settings holds every key of perchd. A flag wins over a variable.
var settings = []setting{
	{name: "listen", usage: "`address` to serve on (default 127.0.0.1:8000)", set: func(o *options, v string) error {
		o.engine.Addr = v
		return checkAddress(v)
	}},
	{name: "loops", usage: "event `loops` (default: one per CPU)", set: func(o *options, v string) error {
		return count(&o.engine.Loops, v, 1)
	}},
	{name: "max-connections", usage: "`connections` in all, 0: no limit of ours (default: what the descriptor limit allows)", set: func(o *options, v string) error {
		err := count(&o.engine.MaxConnections, v, 0)
		if err == nil && o.engine.MaxConnections == 0 {
			o.engine.MaxConnections = -1
		}
		return err
	}},
	{name: "private-fds", usage: "give each loop a descriptor table of its own: the descriptor limit then counts per loop", boolean: true, set: func(o *options, v string) error {
		return boolean(&o.engine.PrivateFDs, v)
	}},
	{name: "origin", usage: "browser `origin` that may connect, as https://example.com, or * for all; repeat for more (default: the same host)", list: true, set: func(o *options, v string) error {
		o.engine.Origins = append(o.engine.Origins, v)
		return checkOrigin(v)
	}},
	{name: "log-format", usage: "`text` or json (default text)", set: func(o *options, v string) error {
		o.logJSON = v == "json"
		if v != "json" && v != "text" {
			return errors.New("want text or json")
		}
		return nil
	}},
	{name: "shutdown-deadline", usage: "how `long` a shutdown may wait for closing handshakes, 0: no limit (default 10s)", set: func(o *options, v string) (err error) {
		if o.deadline, err = time.ParseDuration(v); err != nil || o.deadline < 0 {
			return errors.New("want a duration like 10s")
		}
		return nil
	}},
	{name: "version", usage: "print the version and exit", boolean: true, set: func(o *options, v string) error {
		return boolean(&o.version, v)
	}},
}

// env returns the name of the variable with the same meaning as the flag.
func (s setting) env() string {
	return "PERCH_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// parse reads flags and environment. The error names the key that is wrong; it is flag.ErrHelp when
// help was asked for (and printed to out).
func parse(args []string, lookup func(string) (string, bool), out io.Writer) (options, error) {
	o := options{deadline: 10 * time.Second}
	fs := flag.NewFlagSet("perchd", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	given := map[string]bool{}
	for _, s := range settings {
		set := func(v string) error {
			given[s.name] = true
			return s.set(&o, v)
		}
		if s.boolean {
			fs.BoolFunc(s.name, s.usage, set)
		} else {
			fs.Func(s.name, s.usage, set)
		}
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(fs, out)
		}
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	for _, s := range settings {
		value, ok := lookup(s.env())
		if !ok || value == "" || given[s.name] {
			continue
		}
		values := []string{value}
		if s.list {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := s.set(&o, strings.TrimSpace(v)); err != nil {
				return o, fmt.Errorf("invalid value %q for %s: %w", v, s.env(), err)
			}
		}
	}
	return o, nil
}

func usage(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintln(out, "perchd serves WebSocket. Every flag can be given by the environment too: --max-connections is PERCH_MAX_CONNECTIONS.")
	fmt.Fprintln(out)
	for _, s := range settings {
		operand, text := flag.UnquoteUsage(fs.Lookup(s.name))
		if s.boolean {
			operand = ""
		}
		fmt.Fprintf(out, "  %-34s %s\n", strings.TrimSpace("--"+s.name+" "+operand), text)
	}
}

func count(dst *int, v string, least int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > 1<<30 {
		return fmt.Errorf("want a number from %d", least)
	}
	*dst = n
	return nil
}

func boolean(dst *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return errors.New("want true or false")
	}
	*dst = b
	return nil
}

func checkAddress(v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return errors.New("want host:port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("want a port from 0 to 65535")
	}
	return nil
}

func checkOrigin(v string) error {
	if v == "*" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("want scheme://host or scheme://host:port, or *")
	}
	return nil
}
