package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/perchws/perch"
)

// shutdown ends perchd in steps: /ready says no, clients are still served for the delay, then new clients are refused
// and all connections are closed with 1001. A signal from hurry ends it at once.
func (d *daemon) shutdown(first os.Signal, hurry <-chan os.Signal, ended <-chan error) error {
	d.draining.Store(true)
	d.log.Info("shutting down", "signal", first.String(), "delay", d.cfg.ShutdownDelay.String(), "deadline", limitText(d.cfg.ShutdownDeadline))
	delay := time.NewTimer(d.cfg.ShutdownDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case err := <-ended:
		return err
	case s := <-hurry:
		return impatient(s)
	}

	ctx, cancel := context.WithCancel(context.Background())
	if d.cfg.ShutdownDeadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, d.cfg.ShutdownDeadline)
	}
	defer cancel()
	d.chat.Spread("server going away")
	done := make(chan error, 1)
	go func() { done <- d.engine.Shutdown(ctx) }()
	select {
	case err := <-done:
		if cut, ok := errors.AsType[*perch.ShutdownError](err); ok {
			d.log.Warn("shut down: some clients did not take everything, or did not answer the close, in time",
				"deadline", limitText(d.cfg.ShutdownDeadline), "connections", cut.Connections, "bytes_unsent", cut.Unsent, "error", cut.Err.Error())
			return nil
		}
		if err == nil {
			d.log.Info("shut down")
		}
		return err
	case s := <-hurry:
		return impatient(s)
	}
}

func impatient(s os.Signal) error {
	return fmt.Errorf("%v once more: clients were not waited for", s)
}

// limitText formats a time limit; a negative one is "none".
func limitText(d time.Duration) string {
	if d < 0 {
		return "none"
	}
	return d.String()
}
