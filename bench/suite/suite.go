// Package suite measures servers against each other: it starts them, gives each
// the same load in turn, several rounds of it, and writes down what came of it.
// The loads are those of perchbench, run as processes of their own on other
// cores than the server's.
package suite

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/child"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/internal/server/certs"
	"github.com/perchws/perch/internal/sock"
)

// Options is what a suite is to do.
type Options struct {
	Root   string        // of the repository
	Out    string        // directory for the results
	Budget time.Duration // about how long; every case has three rounds at least
	Only   []string      // names of servers; nil: all there are
	Cases  []string      // groups of cases, or GROUP:X for one; they get all of the time; nil: all there are
	Smoke  bool          // a minute: short, few rounds, no figure of worth
	Base   string        // a commit: compare it with the working tree, and nothing else
	Log    io.Writer     // progress, line by line
}

// driver is one run of the suite.
type driver struct {
	Options
	run         *record.Run
	launcher    *child.Launcher
	begun       time.Time
	planned     time.Duration // when the next case should begin, after begun
	state       string        // a directory that goes away with the driver
	pair        certs.Pair    // for servers with TLS
	subjects    []subject
	serverCores []int // nil: not bound to cores
	clientCores []int

	// client loads the server: perchbench; tests have their own.
	client func(ctx context.Context, s *subject, p *process, load []string) (*bench.Result, error)
}

// Run runs the suite. When an error comes, or ctx ends, it writes down and returns
// its results so far too.
func Run(ctx context.Context, o Options) (*record.Run, error) {
	d, err := newDriver(o)
	if err != nil {
		return nil, err
	}
	defer d.close()
	limit := sock.DescriptorLimit()
	var loads []workload
	switch {
	case o.Base != "":
		loads = twoCommits()
	case o.Smoke:
		loads = smoke()
	default:
		loads = full(limit)
	}
	if loads, err = choose(loads, o.Cases); err != nil {
		return nil, err
	}
	if o.Base != "" {
		err = d.addCommits(ctx)
	} else {
		err = d.addServers(ctx, limit)
	}
	if err != nil {
		return nil, err
	}
	return d.measureAll(ctx, loads)
}

func newDriver(o Options) (*driver, error) {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, err
	}
	o.Root = root
	state, err := os.MkdirTemp("", "perch-suite-")
	if err != nil {
		return nil, err
	}
	pair, err := newPair(state)
	if err != nil {
		os.RemoveAll(state)
		return nil, err
	}
	d := &driver{Options: o, launcher: child.NewLauncher(), state: state, pair: pair}
	d.client = d.perchbench
	d.serverCores, d.clientCores = split()
	d.run = &record.Run{Started: time.Now().UTC(), Command: o.command(), Machine: record.ThisMachine(sock.DescriptorLimit())}
	d.run.Machine.ServerCores, d.run.Machine.ClientCores = d.serverCores, d.clientCores
	d.run.Machine.Commit = commit(root)
	return d, nil
}

// command is what repeats the run.
func (o *Options) command() string {
	switch {
	case o.Smoke:
		return "make bench-smoke"
	case o.Only == nil && o.Cases == nil && o.Base == "":
		return "make bench"
	case o.Only == nil && o.Cases == nil:
		return "make bench BASE=" + o.Base
	}
	command := "make build baseline && bin/perchbench suite --time " + o.Budget.String()
	if o.Only != nil {
		command += " --only " + strings.Join(o.Only, ",")
	}
	if o.Cases != nil {
		command += " --cases " + strings.Join(o.Cases, ",")
	}
	if o.Base != "" {
		command += " --base " + o.Base
	}
	return command
}

func (d *driver) close() {
	d.launcher.Close()
	os.RemoveAll(d.state)
}

// addServers finds the servers to measure: ours, the yardstick, the peers.
func (d *driver) addServers(ctx context.Context, limit int) error {
	all := ours(d.Root, d.state, limit, d.pair)
	if y, ok := yardstick(d.Root); ok {
		all = append(all, y)
	} else {
		d.skip("rawecho", "not built: `make baseline` needs gcc")
	}
	peers, err := d.peers(ctx)
	if err != nil {
		return err
	}
	for _, s := range append(all, peers...) {
		if d.wanted(s.Name) {
			d.add(s)
		}
	}
	if len(d.subjects) == 0 {
		return fmt.Errorf("none of the servers %q is there", d.Only)
	}
	return nil
}

// wanted reports that a server is among those asked for.
func (d *driver) wanted(name string) bool {
	for _, o := range d.Only {
		if o == name || o == "perch" && name == scaleName {
			return true
		}
	}
	return len(d.Only) == 0
}

func (d *driver) add(s subject) {
	d.subjects = append(d.subjects, s)
	d.run.Servers = append(d.run.Servers, s.Server)
}

func (d *driver) skip(name, why string) {
	d.run.Skipped = append(d.run.Skipped, record.Skip{Name: name, Why: why})
	d.say("skipped: %s: %s", name, why)
}

func (d *driver) say(format string, args ...any) {
	if d.Log != nil {
		fmt.Fprintf(d.Log, format+"\n", args...)
	}
}

// measureAll runs the workloads and saves the run after each.
func (d *driver) measureAll(ctx context.Context, loads []workload) (*record.Run, error) {
	d.begun = time.Now()
	for i := range loads {
		if ctx.Err() != nil {
			break
		}
		w := &loads[i]
		if w.group == record.Generator {
			d.measureGenerator(ctx, w)
		} else {
			d.measure(ctx, w)
		}
		d.run.Seconds = time.Since(d.run.Started).Seconds()
		if d.Out != "" {
			if err := d.run.Save(d.Out); err != nil {
				return d.run, err
			}
		}
	}
	return d.run, ctx.Err()
}
