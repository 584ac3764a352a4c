package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/child"
	"github.com/perchws/perch/bench/record"
)

// measureGenerator has our load generator and one that shares no code with it
// load the same server in turn: a harness whose figures depend on who takes them
// measures itself.
func (d *driver) measureGenerator(ctx context.Context, w *workload) {
	program := filepath.Join(d.Root, "bench", "baseline", "wsload")
	if !exists(program) {
		d.skip(record.OtherGenerator, "not built: `make baseline` needs gcc")
		return
	}
	for i := range d.subjects {
		if !w.who(&d.subjects[i]) {
			continue
		}
		s := &d.subjects[i]
		c := record.Case{Group: w.group, Load: w.load}
		r := &runner{subject: s}
		if !d.begin(r, w, &c, 1) {
			return
		}
		defer r.process.Stop()
		d.announce(w)
		d.rounds(ctx, w, func(round int) {
			for i := range 2 {
				s := record.Sample{Server: record.OurGenerator, Round: round}
				var err error
				if (i+round)%2 == 0 {
					s.Server = record.OtherGenerator
					s.Result, err = d.wsload(ctx, program, r.process, w.load)
				} else {
					s.Result, err = d.client(ctx, r.subject, r.process, w.load)
				}
				if err != nil {
					s.Error = err.Error()
					d.say("  %s, round %d: %v", s.Server, round, err)
				}
				c.Samples = append(c.Samples, s)
			}
		})
		d.run.Cases = append(d.run.Cases, c)
		return
	}
}

// wsload runs the other generator with the options that both have, and takes
// what the server used between the two lines that frame its interval.
func (d *driver) wsload(ctx context.Context, program string, p *process, load []string) (*bench.Result, error) {
	_, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return nil, err
	}
	args := []string{load[0], "--port", port}
	for i := 1; i < len(load); i++ {
		a := load[i]
		switch load[i-1] {
		case "--warmup", "--time": // in seconds there
			seconds, err := inSeconds(a)
			if err != nil {
				return nil, err
			}
			a = seconds
		}
		args = append(args, a)
	}
	cmd := exec.Command(program, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errOut := new(child.Tail)
	cmd.Stderr = errOut
	if err := d.launcher.Start(cmd, d.clientCores); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	res, err := readWsload(out, func() (bench.Usage, error) { return bench.ProcessUsage(p.PID()) })
	if waitErr := cmd.Wait(); waitErr != nil {
		return res, fmt.Errorf("wsload: %w: %s", waitErr, firstLines(errOut.String(), 2))
	}
	if res != nil && res.Server != nil {
		res.Server.Cores = bench.AllowedCores(p.PID())
	}
	return res, err
}

// readWsload reads what wsload prints, to its end.
func readWsload(out io.Reader, use func() (bench.Usage, error)) (*bench.Result, error) {
	var before, after bench.Usage
	var err error
	last := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch last = lines.Text(); {
		case strings.HasPrefix(last, "START"):
			before, err = use()
		case strings.HasPrefix(last, "END"):
			after, err = use()
		}
		if err != nil {
			return nil, err
		}
	}
	var got struct {
		Rate   float64        `json:"rate"`
		Secs   float64        `json:"secs"`
		Client float64        `json:"client_cpu"`
		Errors uint64         `json:"errors_total"`
		Lat    *bench.Latency `json:"lat_us"`
	}
	if err := json.Unmarshal([]byte(last), &got); err != nil {
		return nil, fmt.Errorf("wsload said %q: %w", last, err)
	}
	res := &bench.Result{Mode: "echo", OK: got.Errors == 0, Seconds: got.Secs, Rate: got.Rate, Latency: got.Lat, ClientCPU: got.Client, ErrorsTotal: got.Errors}
	if cpu := (after.CPU - before.CPU).Seconds(); cpu > 0 && got.Secs > 0 {
		res.Count = uint64(got.Rate * got.Secs)
		res.Server = &bench.Server{Processes: after.Processes, CPU: cpu / got.Secs, RSS: after.RSS, PerCPUSecond: got.Rate * got.Secs / cpu}
	}
	return res, nil
}
