// Command perchd is the Perch server: a page at /, the echo endpoint WS /ws that it shows, and
// GET /health. perchd --help lists its settings. perchd token prints a token for development.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/echo"
	"github.com/perchws/perch/internal/server/web"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "token" {
		os.Exit(tokenCommand(os.Args[2:], os.Stdout, os.Stderr))
	}
	o, err := parse(os.Args[1:], os.LookupEnv, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "perchd: %v\nperchd --help lists the settings.\n", err)
		os.Exit(2)
	case o.version:
		fmt.Println("perchd", version())
		return
	}
	// Two places: the signal that asks to stop, and the one that will not wait.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := run(o, os.Stdout, signals); err != nil {
		fmt.Fprintln(os.Stderr, "perchd:", err)
		os.Exit(1)
	}
}

// run serves until the first signal, then shuts down; nil when every client was told, or the
// deadline ended the wait. A second signal ends it at once, with an error.
func run(o options, out io.Writer, signals <-chan os.Signal) error {
	log := slog.New(slog.NewTextHandler(out, nil))
	if o.logJSON {
		log = slog.New(slog.NewJSONHandler(out, nil))
	}
	pages, err := web.Handler()
	if err != nil {
		return err
	}
	o.engine.HTTP, o.engine.Logger = pages, log
	srv := perch.New(o.engine)
	srv.Handle("/ws", echo.Handler())
	if err := srv.Start(); err != nil {
		return err
	}
	at := reachable(srv.Addr().String())
	log.Info("perchd serves", "version", version(), "address", srv.Addr().String(),
		"page", "http://"+at+"/", "try", "websocat ws://"+at+"/ws")

	ended := make(chan error, 1)
	go func() { ended <- srv.Wait() }()
	select {
	case err := <-ended: // a loop died: nothing to wait for
		return err
	case s := <-signals:
		log.Info("shutting down", "signal", s.String(), "deadline", o.deadline.String())
	}
	return shutdown(srv, o, log, signals)
}

func shutdown(srv *perch.Server, o options, log *slog.Logger, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	if o.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.deadline)
	}
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(ctx) }()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn("shut down: some clients did not answer the close in time", "deadline", o.deadline.String())
			return nil
		}
		if err == nil {
			log.Info("shut down")
		}
		return err
	case s := <-signals:
		return fmt.Errorf("second %v: clients were not waited for", s)
	}
}

// reachable returns where a program on this machine finds a server that listens on addr.
func reachable(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().IsUnspecified() {
		return addr
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if ap.Addr().Is6() {
		loopback = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(loopback, ap.Port()).String()
}

// version is what go build recorded: a tag, a commit, or (devel).
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
