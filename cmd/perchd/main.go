// Command perchd is the Perch server. perchd --help lists what it can be told; perchd config prints
// what it was told, and by whom; perchd token prints a token for development.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/server/logging"
)

func main() {
	os.Exit(command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// command returns the exit status: 2 when perchd was told what cannot be, 1 when it failed.
func command(args, environ []string, out, errOut io.Writer) int {
	surviveReaders()
	verb := ""
	if len(args) > 0 && (args[0] == "token" || args[0] == "config") {
		verb, args = args[0], args[1:]
	}
	if verb == "token" {
		return tokenCommand(args, out, errOut)
	}
	c, err := config.Load(args, environ)
	switch {
	case errors.Is(err, flag.ErrHelp):
		err = config.Help(out)
	case errors.Is(err, config.ErrVersion):
		_, err = fmt.Fprintln(out, "perchd", version())
	case err != nil:
		fmt.Fprintf(errOut, "perchd: %v\nperchd --help lists the settings.\n", err)
		return 2
	case verb == "config":
		err = c.Print(out)
	default:
		return serveCommand(c, out, errOut)
	}
	switch {
	case errors.Is(err, syscall.EPIPE): // whoever read has enough, as head
		return 1
	case err != nil:
		fmt.Fprintln(errOut, "perchd:", err)
		return 1
	}
	return 0
}

// flushTime is how long the end of perchd may wait for those who read its output.
const flushTime = time.Second

// serveCommand is perchd itself.
func serveCommand(c *config.Config, out, errOut io.Writer) int {
	others := notifyOthers()
	log, lines := newLogger(c.Log, out)
	status := 0
	d, err := newDaemon(c, log)
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
		logging.Print(errOut, fmt.Sprintln("perchd:", err), flushTime)
	}
	return status
}

// newLogger makes the log, and the queue that it goes through: whoever reads it holds up nobody. No token
// gets into it. What the standard library logs by itself goes there too.
func newLogger(c config.Log, out io.Writer) (*slog.Logger, *logging.Queue) {
	o := &slog.HandlerOptions{Level: c.Level}
	form := func(w io.Writer) slog.Handler {
		if c.JSON {
			return slog.NewJSONHandler(w, o)
		}
		return slog.NewTextHandler(w, o)
	}
	lines := logging.NewQueue(out, logging.DefaultMaxBytes, form)
	log := slog.New(auth.RedactHandler(form(lines)))
	slog.SetDefault(log)
	return log, lines
}

// version is what go build recorded: a tag, a commit, or (devel).
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
