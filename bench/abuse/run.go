package abuse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/child"
)

// Options is what a run is to do.
type Options struct {
	Program  string    // perchd
	Attacker []string  // the command that carries out an Attack: its options follow
	Only     []string  // names of scenarios; nil: all
	Short    bool      // for CI: seconds instead of minutes
	Log      io.Writer // progress, line by line
}

const (
	quietTime      = 5 * time.Second // before the attack; shorter in the short form
	quietTimeShort = 1500 * time.Millisecond
	afterTime      = time.Minute      // until memory must be back
	afterLeast     = 2 * time.Second  // of the bystander's time after it
	attackEnd      = 20 * time.Second // for the attack to end when it is told so
)

// Run runs scenarios one after the other.
func Run(ctx context.Context, o Options) (*Report, error) {
	chosen, err := choose(o.Only, o.Short)
	if err != nil {
		return nil, err
	}
	launcher := child.NewLauncher()
	defer launcher.Close()
	report := &Report{Started: time.Now().UTC(), Short: o.Short}
	for i := range chosen {
		s := &Stage{ctx: ctx, options: &o, scenario: &chosen[i], launcher: launcher}
		o.say("%s: %s", s.scenario.Name, s.scenario.What)
		result, err := s.play(ctx)
		if err != nil {
			return report, fmt.Errorf("%s: %w", s.scenario.Name, err)
		}
		o.say("%s: %s", result.Name, result.verdict())
		report.Results = append(report.Results, *result)
	}
	return report, ctx.Err()
}

func (o *Options) say(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// Stage is a server with a bystander, on which a scenario is played.
type Stage struct {
	ctx       context.Context // of the run
	options   *Options
	scenario  *Scenario
	launcher  *child.Launcher
	server    *child.Process
	key       string   // the file of the development key
	tokens    []string // flags of perchd token: the key that signs
	bystander *bystander
	peaks     peaks
	log       *stallable // the server's, where the scenario plays with it
}

// play plays the scenario.
func (s *Stage) play(ctx context.Context) (*Result, error) {
	dir, err := os.MkdirTemp("", "perch-abuse-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := s.serve(dir); err != nil {
		return nil, err
	}
	defer s.server.Stop()
	if s.log != nil {
		defer s.log.end()
	}
	serving, stop := context.WithCancel(ctx)
	ready, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		s.bystander.run(serving, func() { close(ready) })
	}()
	go s.peaks.watch(serving, s.server.PID(), s.phase)
	var r *Result
	select {
	case <-ready:
		r, err = s.measure(ctx)
	case <-time.After(ioTime):
		err = fmt.Errorf("the bystander is not served: %q", s.bystander.losses())
	}
	stop()
	<-over
	if err != nil {
		return nil, err
	}
	s.fill(r)
	r.judge()
	return r, ctx.Err()
}

// serve starts the server, its files in dir, and makes the bystander.
func (s *Stage) serve(dir string) (err error) {
	s.key = filepath.Join(dir, "dev.key")
	s.tokens = []string{"--dev-key", s.key}
	server := child.Server{Command: s.command()}
	if s.scenario.Keyed {
		var flags []string
		if flags, s.tokens, err = keys(dir); err != nil {
			return err
		}
		server.Command = append(server.Command, flags...)
	}
	if s.scenario.StallLog {
		if s.log, err = newLog(); err != nil {
			return err
		}
		server.Output = s.log.w
	}
	if s.server, err = s.launcher.Serve(server); err != nil {
		return err
	}
	s.bystander = newBystander(s.server.Addr, s.scenario)
	if s.scenario.Keyed {
		if s.bystander.token, err = s.token("bystander"); err != nil {
			s.server.Stop()
		}
	}
	return err
}

func (s *Stage) phase() int { return int(s.bystander.phase.Load()) }

// command starts the server.
func (s *Stage) command() []string {
	c := []string{s.options.Program, "--listen", "127.0.0.1:{port}", "--auth-dev-key", s.key}
	if s.scenario.TLS {
		c = append(c, "--tls-self-signed")
	}
	if s.scenario.Proxied {
		c = append(c, "--trusted-proxies", "127.0.0.1/32")
	}
	return append(c, s.scenario.Flags...)
}

// measure goes through the phases.
func (s *Stage) measure(ctx context.Context) (*Result, error) {
	r := &Result{Name: s.scenario.Name, What: s.scenario.What}
	check := func() []string { return nil }
	if s.scenario.Victim != nil {
		var err error
		if check, err = s.scenario.Victim(s); err != nil {
			return nil, fmt.Errorf("victim: %w", err)
		}
	}
	length := quietTime
	if s.options.Short {
		length = quietTimeShort
	}
	pause(ctx, length)
	r.Empty = readMemory(s.server.PID())
	r.RSSLimit, r.RSSLeft = bound(r.Empty.RSS, s.scenario.Holds), bound(r.Empty.RSS, s.scenario.Keeps)
	if s.scenario.Kernel > 0 {
		r.Kernel = bound(r.Empty.Kernel, s.scenario.Kernel)
	}
	if s.log != nil {
		s.log.stall()
		defer time.AfterFunc(s.scenario.Time/2, s.log.end).Stop()
	}
	before, _ := bench.ProcessUsage(s.server.PID())
	begun := time.Now()
	s.bystander.phase.Store(attack)
	counts, err := s.attack(ctx)
	if err != nil {
		return nil, err
	}
	used, _ := bench.ProcessUsage(s.server.PID())
	s.bystander.phase.Store(after)
	r.Attack, r.Seconds = counts, time.Since(begun).Seconds()
	r.Cores = (used.CPU - before.CPU).Seconds() / r.Seconds
	if !s.server.Alive() {
		r.Lost = append(r.Lost, "the server ended: "+s.server.Output.String())
		return r, nil
	}
	r.Lost = append(r.Lost, check()...)
	s.calm(ctx, r)
	return r, nil
}

// calm waits until the server's memory is back.
func (s *Stage) calm(ctx context.Context, r *Result) {
	for begun := time.Now(); ctx.Err() == nil; pause(ctx, sampleEvery) {
		took := time.Since(begun)
		if r.After = readMemory(s.server.PID()); r.After.RSS <= r.RSSLeft && r.Back == 0 {
			r.Back = took.Seconds()
		}
		if r.Back > 0 && took > afterLeast || took > afterTime {
			return
		}
	}
}

// attack runs the attack for as long as the scenario says, and returns what it has counted.
func (s *Stage) attack(ctx context.Context) (map[string]int64, error) {
	args := append([]string{}, s.options.Attacker[1:]...)
	args = append(args, "--attack", s.scenario.Name, "--addr", s.server.Addr, "--server", s.options.Program, "--key", s.key)
	if s.options.Short {
		args = append(args, "--short")
	}
	cmd := exec.Command(s.options.Attacker[0], args...)
	var out bytes.Buffer
	said := new(child.Tail)
	cmd.Stdout, cmd.Stderr = &out, said
	if err := s.launcher.Start(cmd, nil); err != nil {
		return nil, err
	}
	p := child.Watch(cmd, said)
	defer p.Stop()
	select {
	case <-p.Ended:
	case <-s.server.Ended:
	case <-ctx.Done():
	case <-time.After(s.scenario.Time):
	}
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(attackEnd):
	}
	p.Stop()
	counts := map[string]int64{}
	if err := json.Unmarshal(out.Bytes(), &counts); err != nil && s.server.Alive() && ctx.Err() == nil {
		return nil, fmt.Errorf("the attack failed: %s", said)
	}
	return counts, nil
}

// fill adds what the bystander has seen.
func (s *Stage) fill(r *Result) {
	b := s.bystander
	for phase, to := range []*Served{&r.Quiet, &r.During, &r.Later} {
		*to = Served{Talk: b.talk.of(phase), Echo: b.echo.of(phase), Health: b.health.of(phase)}
	}
	r.Peak = s.peaks.of(attack)
	r.Lost = append(r.Lost, b.losses()...)
}
