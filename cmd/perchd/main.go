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
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

func main() {
	os.Exit(command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// command returns the exit status: 2 when perchd was told what cannot be, 1 when it failed.
func command(args, environ []string, out, errOut io.Writer) int {
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
		d, told := newDaemon(c, newLogger(c.Log, out))
		if told != nil {
			fmt.Fprintln(errOut, "perchd:", told)
			return 2
		}
		// Two places: the signal that asks to stop, and the one that will not wait.
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		err = d.serve(signals)
		d.close()
	}
	if err != nil {
		fmt.Fprintln(errOut, "perchd:", err)
		return 1
	}
	return 0
}

// newLogger makes the log. No token gets into it.
func newLogger(c config.Log, out io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	var h slog.Handler = slog.NewTextHandler(out, o)
	if c.JSON {
		h = slog.NewJSONHandler(out, o)
	}
	return slog.New(auth.RedactHandler(h))
}

// version is what go build recorded: a tag, a commit, or (devel).
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
