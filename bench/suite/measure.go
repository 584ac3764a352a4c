package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
)

const (
	// sampleTime is how long one measurement may take: 100,000 connections need
	// half a minute.
	sampleTime = 4 * time.Minute
	// giveUp is after how many failures in a row a server is left out of a case.
	giveUp = 2
)

// runner is a server in a case.
type runner struct {
	*subject
	process  *process // nil: started for each measurement
	failures int      // in a row
}

// measure gives a load to its servers in turn, round after round, each time
// beginning with another, and adds the case to the run.
func (d *driver) measure(ctx context.Context, w *workload) {
	c := record.Case{Group: w.group, X: w.x, Load: w.load}
	var all []*runner
	for i := range d.subjects {
		if s := &d.subjects[i]; w.who(s) {
			all = append(all, &runner{subject: s})
		}
	}
	defer func() {
		for _, r := range all {
			if r.process != nil {
				d.end(r, &c)
			}
		}
		if len(c.Samples) > 0 {
			d.run.Cases = append(d.run.Cases, c)
		}
	}()
	for _, r := range all {
		if !w.fresh && d.begin(r, w, &c, 1) && r.warm && ctx.Err() == nil {
			d.client(ctx, r.subject, r.process, w.load) // what goes wrong in it will in the first round
		}
	}
	d.announce(w)
	d.rounds(ctx, w, func(round int) {
		for i := range all {
			r := all[(i+round-1)%len(all)]
			if r.failures < giveUp && ctx.Err() == nil {
				d.sample(ctx, r, w, &c, round)
			}
		}
	})
}

// announce says what comes now, and how long it has been going on.
func (d *driver) announce(w *workload) {
	d.say("%4.0f s  perchbench %s", time.Since(d.run.Started).Seconds(), strings.Join(w.load, " "))
}

// rounds calls one for each round: the least there are to be, and then more as
// long as another fits into the workload's share of the time. One less is enough
// on a machine that is so slow, or so busy, that the suite is behind its time.
func (d *driver) rounds(ctx context.Context, w *workload, one func(round int)) {
	begun, slice := time.Now(), time.Duration(w.share*float64(d.Budget))
	least := w.least
	if begun.Sub(d.begun) > d.planned+d.Budget/20 {
		least = max(least-1, 1)
	}
	d.planned += slice
	for round := 1; round <= w.most && ctx.Err() == nil; round++ {
		one(round)
		took := time.Since(begun)
		if slice > 0 && round >= least && took+took/time.Duration(round) > slice {
			break
		}
	}
}

// begin starts a server.
func (d *driver) begin(r *runner, w *workload, c *record.Case, round int) bool {
	command := r.run
	if other := r.instead[w.group]; other != nil {
		command = other
	}
	var err error
	if r.process, err = d.startServer(command, r.env, r.dir); err != nil {
		r.process, r.failures = nil, giveUp
		d.say("  %s: %v", r.Name, err)
		c.Samples = append(c.Samples, record.Sample{Server: r.Name, Round: round, Error: err.Error()})
		return false
	}
	r.process.secure = w.group == record.TLS
	return true
}

// end stops a server. The lines that ours write at their end go with their last
// measurement.
func (d *driver) end(r *runner, c *record.Case) {
	r.process.Stop()
	if e := r.process.engine(); e != nil {
		for i := len(c.Samples) - 1; i >= 0; i-- {
			if c.Samples[i].Server == r.Name {
				c.Samples[i].Engine = e
				break
			}
		}
	}
	r.process = nil
}

// sample is one measurement.
func (d *driver) sample(ctx context.Context, r *runner, w *workload, c *record.Case, round int) {
	if w.fresh && !d.begin(r, w, c, round) {
		return
	}
	s := record.Sample{Server: r.Name, Round: round}
	limited, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	before := readLoad(r.process.PID())
	res, err := d.client(limited, r.subject, r.process, w.load)
	s.Others = readLoad(r.process.PID()).others(before)
	s.Result = res
	switch {
	case !r.process.Alive():
		s.Error = "the server ended: " + lastLine(r.process.Output.String())
		r.failures = giveUp
	case err != nil:
		s.Error = err.Error()
		r.failures++
	default:
		r.failures = 0
	}
	if s.Error != "" && ctx.Err() == nil {
		d.say("  %s, round %d: %s", r.Name, round, s.Error)
	}
	if s.Error == "" || ctx.Err() == nil { // who interrupts the suite is no fault of the server's
		c.Samples = append(c.Samples, s)
	}
	if w.fresh {
		d.end(r, c)
	}
}

// perchbench runs the load of this repository's build.
func (d *driver) perchbench(ctx context.Context, s *subject, p *process, load []string) (*bench.Result, error) {
	args := append([]string{}, load...)
	path := s.echoPath
	if load[0] == "fanout" {
		path = s.fanPath
		args = append(args, s.fanLoad...)
	}
	scheme := "ws://"
	if p.secure {
		scheme = "wss://"
		args = append(args, "--ca", d.pair.Cert)
	}
	args = append(args, "--url", scheme+p.Addr+path, "--pid", strconv.Itoa(p.PID()), "--json")
	out, errOut, err := d.runClient(ctx, filepath.Join(d.Root, "bin", "perchbench"), args)
	res := new(bench.Result)
	if jsonErr := json.Unmarshal(out, res); jsonErr != nil {
		return nil, fmt.Errorf("perchbench %s: %w: %s", load[0], err, errOut)
	}
	if err != nil || !res.OK {
		return res, fmt.Errorf("%s", firstLines(string(errOut), 2))
	}
	if slices.Contains(load, "--deflate") && res.Compressed < 0.99 {
		return res, fmt.Errorf("%.0f %% of the answers came compressed, want all", 100*res.Compressed)
	}
	return res, nil
}

// runClient runs a program on the cores of the clients. It ends with ctx.
func (d *driver) runClient(ctx context.Context, program string, args []string) (out, errOut []byte, err error) {
	cmd := exec.Command(program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := d.launcher.Start(cmd, d.clientCores); err != nil {
		return nil, nil, err
	}
	ended := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err = cmd.Wait()
	if !ended() && err != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return stdout.Bytes(), stderr.Bytes(), err
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

func firstLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[:min(n, len(lines))], "; ")
}

// commit is the commit of a work tree, and whether it has changes.
func commit(dir string) string {
	out, err := exec.Command("git", "-C", dir, "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := string(bytes.TrimSpace(out))
	if out, err := exec.Command("git", "-C", dir, "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(out) > 0 {
		name += " with changes"
	}
	return name
}

// exists reports that there is a file.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
