// Command perchd is the Perch server. perchd --help lists its settings; perchd config checks and prints them, each
// with its source; perchd token prints a token for development.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/server/logging"
)

func main() {
	os.Exit(command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// verbs are the words that may stand first on the command line.
var verbs = []string{"config", "help", "token", "version"}

// command returns the exit status: 2 if the settings are wrong, 1 if perchd failed.
func command(args, environ []string, out, errOut io.Writer) int {
	surviveReaders()
	verb := ""
	if len(args) > 0 && args[0] != "" && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	var err error
	switch verb {
	case "", "config":
		return configured(verb, args, environ, out, errOut)
	case "token":
		return tokenCommand(args, out, errOut)
	case "version":
		if err = noMore(verb, args); err == nil {
			_, err = fmt.Fprintln(out, "perchd", version())
			return outcome(err, errOut)
		}
	case "help":
		switch {
		case len(args) == 0, len(args) == 1 && (args[0] == "config" || args[0] == "help" || args[0] == "version"):
			return outcome(config.Help(out), errOut)
		case len(args) == 1 && args[0] == "token":
			return tokenCommand([]string{"--help"}, out, errOut)
		case len(args) > 1:
			err = noMore(verb, args[1:])
		default:
			err = unknownVerb(args[0])
		}
	default:
		err = unknownVerb(verb)
	}
	fmt.Fprintf(errOut, "perchd: %v\nperchd help lists what there is.\n", err)
	return 2
}

// configured runs the verbs that need the settings: serving, and perchd config.
func configured(verb string, args, environ []string, out, errOut io.Writer) int {
	c, err := config.Load(args, environ)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return outcome(config.Help(out), errOut)
	case errors.Is(err, config.ErrVersion):
		_, err = fmt.Fprintln(out, "perchd", version())
		return outcome(err, errOut)
	case err != nil:
		fmt.Fprintf(errOut, "perchd: %v\nperchd --help lists the settings.\n", err)
		return 2
	case verb == "config":
		if err := c.Print(out); err != nil {
			return outcome(err, errOut)
		}
		d, err := newDaemon(c, slog.New(wouldWarn{errOut}), true, realBase())
		if err != nil {
			fmt.Fprintf(errOut, "perchd would not start: %v\n", err)
			return 2
		}
		d.close()
		return 0
	}
	return serveCommand(c, out, errOut)
}

// outcome is the exit status of a verb that only prints.
func outcome(err error, errOut io.Writer) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.EPIPE): // the reader has enough, as head does
	default:
		fmt.Fprintln(errOut, "perchd:", err)
	}
	return 1
}

func noMore(verb string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s: unexpected argument %q", verb, args[0])
}

func unknownVerb(verb string) error {
	switch name := config.Nearest(verb, verbs); {
	case name != "":
		return fmt.Errorf("unknown verb %q; did you mean %s?", verb, name)
	case slices.Contains([]string{"serve", "server", "run", "start"}, verb):
		return fmt.Errorf("unknown verb %q: perchd without a verb serves", verb)
	}
	return fmt.Errorf("unknown verb %q: there are %s, and perchd without a verb serves", verb, strings.Join(verbs, ", "))
}

// flushTime is how long the end of perchd may wait for those who read its output.
const flushTime = time.Second

// serveCommand is perchd itself.
func serveCommand(c *config.Config, out, errOut io.Writer) int {
	others := notifyOthers()
	on := realBase()
	log, lines := newLogger(on.clock, c.Log, out)
	status := 0
	d, err := newDaemon(c, log, false, on)
	if err != nil {
		status = 2
	} else {
		d.metrics.WatchLog(lines.Lost)
		if err = d.serve(notifyStop(), others); err != nil {
			status = 1
		}
		d.close()
	}
	lines.Close(flushTime)
	if err != nil {
		logging.Print(on.clock, errOut, fmt.Sprintln("perchd:", err), flushTime)
	}
	return status
}

// newLogger makes the log, and the queue that it goes through: a reader of the
// log holds up nobody. No token gets into it. Lines that the standard library
// logs by itself go there too.
func newLogger(on clock.Clock, c config.Log, out io.Writer) (*slog.Logger, *logging.Queue) {
	o := &slog.HandlerOptions{Level: c.Level}
	form := func(w io.Writer) slog.Handler {
		if c.JSON {
			return slog.NewJSONHandler(w, o)
		}
		return slog.NewTextHandler(w, o)
	}
	lines := logging.NewQueue(on, out, logging.DefaultMaxBytes, form)
	log := slog.New(auth.RedactHandler(form(lines)))
	slog.SetDefault(log)
	return log, lines
}

// version is the version that go build recorded: a tag, a commit, or (devel).
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
