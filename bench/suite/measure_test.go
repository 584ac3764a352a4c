package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
)

// TestMeasureOrder: each round begins with another server, and all get the load
// once.
func TestMeasureOrder(t *testing.T) {
	var order []string
	pids := make(map[int]bool)
	client := func(_ context.Context, s *subject, p *process, _ []string) (*bench.Result, error) {
		order = append(order, s.Name)
		pids[p.PID()] = true
		return good(1), nil
	}
	d := testDriver(t, client, stubServer("a", "serve"), stubServer("b", "serve"), stubServer("c", "serve"))
	run, err := d.measureAll(t.Context(), []workload{{group: record.Echo, load: []string{"echo"}, most: 3, who: anyone}})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("a b c b c a c a b"); !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if len(pids) != 3 {
		t.Errorf("%d processes for three servers", len(pids))
	}
	for pid := range pids {
		if !gone(pid) {
			t.Errorf("server %d was left running", pid)
		}
	}
	c := run.Case(record.Echo, 0)
	if c == nil || len(c.Samples) != 9 || c.Rounds() != 3 || len(c.Failures()) != 0 {
		t.Fatalf("case %+v", c)
	}
	if e := c.Samples[8].Engine; e == nil || e.TickP50 != "16µs" {
		t.Errorf("the last sample of a server has not what it said at its end: %+v", e)
	}
}

// TestMeasureWarm: a server that is compiled while it runs gets the load once more,
// and that does not count.
func TestMeasureWarm(t *testing.T) {
	calls := make(map[string]int)
	warm := stubServer("jit", "serve")
	warm.warm = true
	d := testDriver(t, func(_ context.Context, s *subject, _ *process, _ []string) (*bench.Result, error) {
		calls[s.Name]++
		return good(1), nil
	}, stubServer("a", "serve"), warm)
	run, _ := d.measureAll(t.Context(), []workload{{group: record.Echo, load: []string{"echo"}, most: 2, who: anyone}})
	if calls["a"] != 2 || calls["jit"] != 3 || len(run.Cases[0].Samples) != 4 {
		t.Errorf("%v loads, %d samples", calls, len(run.Cases[0].Samples))
	}
}

// TestMeasureInstead: a group of cases can have a command of its own.
func TestMeasureInstead(t *testing.T) {
	commands := make(map[string]string)
	s := stubServer("a", "serve")
	s.instead = map[string][]string{record.Pings: append(slices.Clone(s.run), "pinging")}
	d := testDriver(t, func(_ context.Context, _ *subject, p *process, load []string) (*bench.Result, error) {
		commands[load[0]] = p.Cmd.Args[len(p.Cmd.Args)-1]
		return good(1), nil
	}, s)
	d.measureAll(t.Context(), []workload{
		{group: record.Messages, load: []string{"echo"}, most: 1, who: anyone}, {group: record.Pings, load: []string{"idle"}, most: 1, who: anyone}})
	if commands["idle"] != "pinging" || commands["echo"] == "pinging" {
		t.Errorf("started with %v", commands)
	}
}

// TestMeasureFresh starts a server for each measurement.
func TestMeasureFresh(t *testing.T) {
	pids := make(map[int]bool)
	d := testDriver(t, func(_ context.Context, _ *subject, p *process, _ []string) (*bench.Result, error) {
		pids[p.PID()] = true
		return good(1), nil
	}, stubServer("a", "serve"), stubServer("b", "serve"))
	d.measureAll(t.Context(), []workload{{group: record.Idle, load: []string{"idle"}, most: 2, fresh: true, who: anyone}})
	if len(pids) != 4 {
		t.Errorf("%d processes for four measurements", len(pids))
	}
}

// TestMeasureFailures: what goes wrong is written down, costs no other server
// anything, and is not tried for ever.
func TestMeasureFailures(t *testing.T) {
	calls := make(map[string]int)
	d := testDriver(t, func(_ context.Context, s *subject, p *process, _ []string) (*bench.Result, error) {
		calls[s.Name]++
		switch {
		case s.Name == "lossy":
			return good(1), errors.New("lost: 3 messages")
		case s.Name == "flaky" && calls[s.Name] == 2:
			return nil, errors.New("refused")
		case s.Name == "dying":
			p.Stop()
			return nil, errors.New("connection reset")
		}
		return good(1), nil
	}, stubServer("good", "serve"), stubServer("lossy", "serve"), stubServer("flaky", "serve"), stubServer("dying", "serve"), stubServer("broken", "broken"))
	run, err := d.measureAll(t.Context(), []workload{{group: record.Echo, load: []string{"echo"}, most: 4, who: anyone}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"good": 4, "lossy": giveUp, "flaky": 4, "dying": 1}
	if fmt.Sprint(calls) != fmt.Sprint(want) {
		t.Errorf("measured %v times, want %v", calls, want)
	}
	c := run.Case(record.Echo, 0)
	said := make(map[string]string)
	for _, s := range c.Failures() {
		said[s.Server] += s.Error
	}
	for name, text := range map[string]string{"lossy": "lost: 3", "flaky": "refused", "dying": "the server ended", "broken": "no such option"} {
		if !strings.Contains(said[name], text) {
			t.Errorf("%s: %q, want %q", name, said[name], text)
		}
	}
	if n := c.Spread("good", record.PerCPU).N; n != 4 {
		t.Errorf("%d figures of the good one, want 4", n)
	}
	if n := c.Spread("lossy", record.PerCPU).N; n != 0 {
		t.Errorf("%d figures of one that lost messages, want none", n)
	}
}

// TestRounds: at least three, at most what is asked for, else what the time allows.
func TestRounds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		budget time.Duration
		most   int
		want   int
	}{
		{"no time", time.Nanosecond, 9, leastMain},
		{"much time", time.Hour, 9, 9},
		{"time does not matter", 0, 2, 2},
		{"fewer asked for", time.Nanosecond, 1, 1},
	} {
		d := testDriver(t, nil)
		d.Budget, d.begun, d.planned = tt.budget, time.Now(), time.Hour
		n := 0
		d.rounds(t.Context(), &workload{share: 1, least: leastMain, most: tt.most}, func(int) { n++ })
		if n != tt.want {
			t.Errorf("%s: %d rounds, want %d", tt.name, n, tt.want)
		}
	}
}

// TestRoundsBehind: a suite that is late makes one round less of each case.
func TestRoundsBehind(t *testing.T) {
	for late, want := range map[time.Duration]int{0: 3, 2 * time.Minute: 2} {
		d := testDriver(t, nil)
		d.Budget = 20 * time.Minute
		d.begun, d.planned = time.Now().Add(-10*time.Minute-late), 10*time.Minute
		n := 0
		d.rounds(t.Context(), &workload{share: 1e-12, least: 3, most: 9}, func(int) { n++ })
		if n != want {
			t.Errorf("%v late: %d rounds, want %d", late, n, want)
		}
	}
}

// TestInterrupted: what was measured is saved, and no server stays.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pid, calls := 0, 0
	d := testDriver(t, func(_ context.Context, _ *subject, p *process, _ []string) (*bench.Result, error) {
		pid = p.PID()
		if calls++; calls == 2 {
			cancel()
			return nil, errors.New("killed")
		}
		return good(1), nil
	}, stubServer("a", "serve"))
	d.Out = t.TempDir()
	_, err := d.measureAll(ctx, []workload{{group: record.Echo, load: []string{"echo"}, most: 5, who: anyone}, {group: record.Storm, load: []string{"storm"}, most: 5, who: anyone}})
	if !errors.Is(err, context.Canceled) || !gone(pid) {
		t.Errorf("error %v, server gone: %v", err, gone(pid))
	}
	run, err := record.Load(d.Out)
	if err != nil || len(run.Cases) != 1 || len(run.Cases[0].Samples) != 1 {
		t.Errorf("saved %+v, error %v", run, err)
	}
}

// TestWorkloads: the shares of the time add up, and every workload has a group
// that the report knows.
func TestWorkloads(t *testing.T) {
	for name, all := range map[string][]workload{"full": full(20_000), "few descriptors": full(1024), "pair": twoCommits(), "smoke": smoke()} {
		sum := 0.0
		seen := make(map[string]bool)
		for _, w := range all {
			sum += w.share
			id := fmt.Sprint(w.group, w.x)
			if seen[id] {
				t.Errorf("%s: two cases %s", name, id)
			}
			seen[id] = true
			if w.most < 1 || len(w.load) == 0 || w.who == nil {
				t.Errorf("%s: %+v", name, w)
			}
		}
		if sum > 1.001 {
			t.Errorf("%s: shares of %v in all", name, sum)
		}
	}
	for _, w := range full(1024) {
		if w.group == record.Fanout && w.x > 1000 {
			t.Errorf("fan-out to %d with 1,024 descriptors", w.x)
		}
	}
}

// TestChoose: a user that asks for some cases gets them, with all of the time.
func TestChoose(t *testing.T) {
	all := full(20_000)
	chosen, err := choose(all, []string{record.Storm, "fanout:1000", record.Pings})
	if err != nil || names(chosen) != "storm, fanout:1000, pings:1000, pings:10000, pings:100000" {
		t.Fatalf("chosen %s, error %v", names(chosen), err)
	}
	sum := 0.0
	for _, w := range chosen {
		sum += w.share
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("shares of %v in all", sum)
	}
	if chosen, err = choose(all, nil); err != nil || len(chosen) != len(all) {
		t.Errorf("nothing asked for: %d of %d, error %v", len(chosen), len(all), err)
	}
	for _, unknown := range []string{"fanout:1001", "", "ech"} {
		if _, err := choose(all, []string{record.Echo, unknown}); err == nil || !strings.Contains(err.Error(), "fanout:10000") {
			t.Errorf("%q: error %v, want one that lists the cases", unknown, err)
		}
	}
}

// TestCommand: the report says how to get it again.
func TestCommand(t *testing.T) {
	for want, o := range map[string]Options{
		"make bench":         {Budget: time.Minute},
		"make bench-smoke":   {Smoke: true},
		"make bench BASE=v1": {Base: "v1"},
		"make build baseline && bin/perchbench suite --time 3m0s --only perch,gws --cases tls": {Budget: 3 * time.Minute, Only: []string{"perch", "gws"}, Cases: []string{"tls"}},
	} {
		if got := o.command(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWanted: a prefix of ours takes what belongs to it along.
func TestWanted(t *testing.T) {
	d := testDriver(t, nil)
	d.Only = []string{"perch", "gws"}
	for name, want := range map[string]bool{"perch": true, scaleName: true, "perchd": false, "gws": true, "gorilla": false} {
		if d.wanted(name) != want {
			t.Errorf("%s wanted: %v", name, !want)
		}
	}
}
