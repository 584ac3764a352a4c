package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/perchws/perch/bench/abuse"
)

// runAbuse attacks a perchd, scenario by scenario, or is the process of one attack. It returns the exit status.
func runAbuse(args []string, out, errOut io.Writer) int {
	o := abuse.Options{Log: errOut}
	var attack abuse.Attack
	fs := flag.NewFlagSet("perchbench abuse", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	only := fs.String("only", "", "`scenarios`, with commas between; empty: all, which are "+strings.Join(abuse.Names(), " "))
	asJSON := fs.Bool("json", false, "print the report as one JSON object")
	asMarkdown := fs.Bool("markdown", false, "print the table as bench/RESULTS.md has it")
	attack.Flags(fs)
	if status, done := parseFlags(fs, args, out, errOut); done {
		return status
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	if attack.Scenario != "" {
		return told(attack.Run(ctx, out), errOut)
	}
	o.Program, o.Short = attack.Program, attack.Short
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	self, err := os.Executable()
	if err != nil {
		return told(err, errOut)
	}
	o.Attacker = []string{self, "abuse"}
	report, err := abuse.Run(ctx, o)
	if report != nil && len(report.Results) > 0 {
		write := report.WriteTable
		switch {
		case *asJSON:
			write = report.WriteJSON
		case *asMarkdown:
			write = report.WriteMarkdown
		}
		if werr := write(out); err == nil {
			err = werr
		}
	}
	if err == nil && !report.OK() {
		return statusFaults
	}
	return told(err, errOut)
}

// told prints an error, and returns the exit status.
func told(err error, errOut io.Writer) int {
	if err == nil {
		return statusOK
	}
	fmt.Fprintln(errOut, "perchbench:", err)
	return statusFaults
}
