package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/perchws/perch/bench/page"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/suite"
)

// reportDir is where the results and the report go, from the root of the repository.
const reportDir = "bench/report"

// commands are those that are neither loads nor serve.
var commands = map[string]func(args []string, out, errOut io.Writer) int{"suite": runSuite, "report": runReport, "abuse": runAbuse}

// runSuite measures all servers, or two commits, and writes the report. It returns the exit status: a
// commit that is clearly worse than its base is a fault.
func runSuite(args []string, out, errOut io.Writer) int {
	o := suite.Options{Log: errOut}
	fs := flag.NewFlagSet("perchbench suite", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.Root, "root", ".", "root of the repository; bin/ there has what is measured")
	fs.StringVar(&o.Out, "out", reportDir, "`directory` for results and report")
	fs.DurationVar(&o.Budget, "time", 17*time.Minute, "about how `long`; each case has three rounds at least")
	fs.StringVar(&o.Base, "base", "", "a `commit`: compare the working tree with it instead; status 1 if it is clearly worse")
	fs.BoolVar(&o.Smoke, "smoke", false, "one minute that shows that everything works, and no figure of worth")
	only := fs.String("only", "", "`servers` to measure, with commas between; empty: all there are")
	cases := fs.String("cases", "", "`groups` of cases to measure, or GROUP:X, with commas between; they get all of the time; empty: all")
	if status, done := parseFlags(fs, args, out, errOut); done {
		return status
	}
	if *cases != "" {
		o.Cases = strings.Split(*cases, ",")
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	run, err := suite.Run(ctx, o)
	if run != nil {
		err = errors.Join(err, run.WriteTable(out), writeReport(run, o.Out, out))
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(errOut, "perchbench: interrupted: what was measured until then is reported")
		return statusFaults
	case err != nil:
		fmt.Fprintln(errOut, "perchbench:", err)
		return statusFaults
	}
	return suiteStatus(run, o, out)
}

// suiteStatus returns the exit status, and prints its reason.
func suiteStatus(run *record.Run, o suite.Options, out io.Writer) int {
	status := statusOK
	if o.Base != "" {
		for _, f := range run.Regressions() {
			status = statusFaults
			fmt.Fprintf(out, "WORSE: %s: %s, %d rounds\n", f.View.Title, record.Times(f.Times), f.Times.N)
		}
	}
	if o.Smoke { // a smoke run only looks for failed measurements
		for i := range run.Cases {
			for _, s := range run.Cases[i].Failures() {
				status = statusFaults
				fmt.Fprintf(out, "FAILED: %s, %s: %s\n", run.Cases[i].Group, s.Server, s.Error)
			}
		}
		for _, s := range run.Skipped {
			if os.Getenv("CI") == "true" { // CI has all programs that the servers need
				status = statusFaults
				fmt.Fprintf(out, "FAILED: %s was skipped: %s\n", s.Name, s.Why)
			}
		}
	}
	return status
}

// runReport makes the report anew from the results of a suite.
func runReport(args []string, out, errOut io.Writer) int {
	fs := flag.NewFlagSet("perchbench report", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	runs := fs.String("runs", reportDir, "`directory` with the results of a suite")
	dir := fs.String("out", "", "`directory` for the report; empty: the same")
	if status, done := parseFlags(fs, args, out, errOut); done {
		return status
	}
	if *dir == "" {
		*dir = *runs
	}
	run, err := record.Load(*runs)
	if err == nil {
		err = errors.Join(run.WriteTable(out), writeReport(run, *dir, out))
	}
	if err != nil {
		fmt.Fprintln(errOut, "perchbench:", err)
		return statusFaults
	}
	return statusOK
}

func writeReport(run *record.Run, dir string, out io.Writer) error {
	names, err := page.Write(run, dir)
	if err == nil {
		fmt.Fprintln(out, "\nwritten: "+strings.Join(names, ", "))
	}
	return err
}

// parseFlags parses a command line without arguments. done: there is nothing more to do.
func parseFlags(fs *flag.FlagSet, args []string, out, errOut io.Writer) (status int, done bool) {
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(out)
		fs.Usage()
		return statusOK, true
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(errOut, "perchbench: %v\n%s --help lists the options.\n", err, fs.Name())
		return statusUsage, true
	}
	return statusOK, false
}
