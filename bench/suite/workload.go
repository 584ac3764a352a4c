package suite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perchws/perch/bench/record"
)

// workload is a load, and which of the servers get it.
type workload struct {
	group string
	x     int
	load  []string // mode and options of perchbench, without the address
	share float64  // of the suite's time; those of a suite are 1 together
	least int      // rounds, whatever the time
	most  int      // rounds
	fresh bool     // a new process for each measurement: its memory is the figure
	who   func(s *subject) bool
}

// Rounds that a case has at least: one of the summary, and a point of a curve,
// which has its neighbours beside it.
const (
	leastMain  = 3
	leastPoint = 2
)

// Sizes of the rooms and numbers of connections that make the curves. The last
// of the connections are for the server with a table for each loop alone.
var (
	roomSizes   = []int{10, 100, 1000, 10_000}
	connections = []int{1000, 10_000, 100_000}
)

const (
	idle     = 5000 // connections of the summary's memory
	peerMost = 10_000
	// reserve is what a server and its clients need beside a descriptor for each
	// connection.
	reserve = 500
	// latencyRate is what every server can do, in messages per second.
	latencyRate = "5000"
)

// compressed is the load of messages that pay to be compressed, by servers that
// do so from 1 KiB. Their words differ from message to message.
var compressed = []string{"echo", "--conns", "100", "--size", "2048", "--text", "--words", "--deflate"}

// threshold is what servers compress messages from, in bytes.
const threshold = "1024"

func anyone(*subject) bool     { return true }
func everyone(s *subject) bool { return !s.scale }
func scaling(s *subject) bool  { return s.scale }
func bare(s *subject) bool     { return s.Name == "perch" }
func rooms(s *subject) bool    { return !s.scale && s.fanPath != "" }

// started are the servers that have a command of their own for a group.
func started(group string) func(s *subject) bool {
	return func(s *subject) bool { return s.instead[group] != nil }
}

// timed adds the times to loads.
func timed(warmup, time string) func(args ...string) []string {
	return func(args ...string) []string { return append(args, "--warmup", warmup, "--time", time) }
}

// full is what `make bench` runs.
func full(limit int) (all []workload) {
	load := timed("200ms", "800ms")
	add := func(w workload) {
		w.most = 15
		if w.least == 0 {
			w.least = leastMain
		}
		all = append(all, w)
	}
	add(workload{group: record.Echo, load: load("echo", "--conns", "200", "--size", "128"), share: .09, who: everyone})
	add(workload{group: record.Pipelined, load: load("echo", "--conns", "200", "--size", "128", "--depth", "16"), share: .08, who: everyone})
	add(workload{group: record.Deflate, load: load(compressed...), share: .055, who: started(record.Deflate)})
	add(workload{group: record.TLS, load: load("echo", "--conns", "200", "--size", "128"), share: .055, who: started(record.TLS)})
	add(workload{group: record.Latency, load: []string{"echo", "--conns", "200", "--size", "128", "--rate", latencyRate, "--warmup", "300ms", "--time", "1500ms"},
		share: .08, who: everyone})
	add(workload{group: record.Storm, load: load("storm", "--conns", "64"), share: .06, who: everyone})
	add(workload{group: record.Idle, load: []string{"idle", "--conns", strconv.Itoa(idle), "--warmup", "500ms", "--time", "100ms"}, share: .10, fresh: true, who: everyone})
	for _, n := range roomSizes {
		if n+reserve > limit {
			continue
		}
		w := workload{group: record.Fanout, x: n, load: load("fanout", "--conns", strconv.Itoa(n), "--pubs", "1", "--size", "128"), share: .03, least: leastPoint, who: rooms}
		switch {
		case n == record.MainRoom:
			w.share, w.least = .08, leastMain
		case n > record.MainRoom:
			w.share = .08
		}
		add(w)
	}
	for _, n := range connections {
		warmup := "500ms"
		if n > peerMost {
			warmup = "2s" // so many connects have an aftermath
		}
		w := workload{group: record.Messages, x: n, load: []string{"echo", "--conns", strconv.Itoa(n), "--size", "128", "--rate", latencyRate,
			"--warmup", warmup, "--time", "1s", "--connect-timeout", "60s"}, share: .045, least: leastPoint}
		switch {
		case n > peerMost || n+reserve > limit:
			w.who = scaling
		case n == record.MainConnections:
			w.who, w.share, w.least = everyone, .075, leastMain
		default:
			w.who = anyone
		}
		add(w)
	}
	for _, n := range connections {
		add(workload{group: record.Pings, x: n, load: []string{"idle", "--conns", strconv.Itoa(n), "--warmup", "5s", "--time", "5s",
			"--connect-timeout", "60s"}, share: .025, least: leastPoint, fresh: true, who: scaling})
	}
	add(workload{group: record.Generator, load: load("echo", "--conns", "200", "--size", "128"), share: .02, who: bare})
	return all
}

// choose leaves those that are asked for, which share the time of all.
func choose(all []workload, cases []string) (chosen []workload, err error) {
	if cases == nil {
		return all, nil
	}
	share := 0.0
	for _, w := range all {
		if slices.ContainsFunc(cases, w.is) {
			chosen = append(chosen, w)
			share += w.share
		}
	}
	for _, name := range cases {
		if !slices.ContainsFunc(all, func(w workload) bool { return w.is(name) }) {
			return nil, fmt.Errorf("there is no case %q; there are %s", name, names(all))
		}
	}
	if share > 0 {
		for i := range chosen {
			chosen[i].share /= share
		}
	}
	return chosen, nil
}

// is reports that the workload goes by a name: its own, or its group.
func (w *workload) is(name string) bool { return name == w.group || name == w.name() }

// name is the group, or GROUP:X of one in a curve.
func (w *workload) name() string {
	if w.x == 0 {
		return w.group
	}
	return fmt.Sprintf("%s:%d", w.group, w.x)
}

func names(all []workload) string {
	var names []string
	for _, w := range all {
		names = append(names, w.name())
	}
	return strings.Join(names, ", ")
}

// smoke shows within a minute that every kind of measurement works.
func smoke() []workload {
	load := timed("50ms", "200ms")
	return []workload{
		{group: record.Echo, load: load("echo", "--conns", "20", "--size", "128"), most: 2, who: everyone},
		{group: record.Pipelined, load: load("echo", "--conns", "20", "--size", "128", "--depth", "16"), most: 1, who: everyone},
		{group: record.Deflate, load: load(compressed...), most: 1, who: started(record.Deflate)},
		{group: record.TLS, load: load("echo", "--conns", "20", "--size", "128"), most: 1, who: started(record.TLS)},
		{group: record.Latency, load: load("echo", "--conns", "20", "--size", "128", "--rate", "1000"), most: 2, who: everyone},
		{group: record.Storm, load: load("storm", "--conns", "8"), most: 1, who: everyone},
		{group: record.Idle, load: load("idle", "--conns", "500"), most: 1, fresh: true, who: everyone},
		{group: record.Fanout, x: 10, load: load("fanout", "--conns", "10", "--pubs", "1", "--size", "128", "--settle", "50ms"), most: 1, who: rooms},
		{group: record.Fanout, x: record.MainRoom, load: load("fanout", "--conns", "1000", "--pubs", "1", "--size", "128", "--settle", "50ms"), most: 1, who: rooms},
		{group: record.Messages, x: record.MainConnections, load: load("echo", "--conns", "1000", "--size", "128", "--rate", "1000"), most: 1, who: everyone},
		{group: record.Pings, x: 1000, load: []string{"idle", "--conns", "1000", "--warmup", "5s", "--time", "5s"}, most: 1, fresh: true, who: scaling},
		{group: record.Generator, load: load("echo", "--conns", "20", "--size", "128"), most: 1, who: bare},
	}
}

// twoCommits is what two commits are compared by.
func twoCommits() []workload {
	load := timed("200ms", "700ms")
	return []workload{
		{group: record.Echo, load: load("echo", "--conns", "200", "--size", "128"), share: .18, least: 6, most: 60, who: anyone},
		{group: record.Pipelined, load: load("echo", "--conns", "200", "--size", "128", "--depth", "16"), share: .18, least: 6, most: 60, who: anyone},
		{group: record.Latency, load: []string{"echo", "--conns", "200", "--size", "128", "--rate", "20000", "--warmup", "300ms", "--time", "1s"},
			share: .13, least: 6, most: 60, who: anyone},
		{group: record.Messages, x: record.MainConnections, load: []string{"echo", "--conns", strconv.Itoa(record.MainConnections), "--size", "128", "--rate", latencyRate, "--warmup", "300ms", "--time", "1s"},
			share: .12, least: 6, most: 40, who: anyone},
		{group: record.Fanout, x: record.MainRoom, load: load("fanout", "--conns", "1000", "--pubs", "1", "--size", "128", "--settle", "50ms"), share: .13, least: 6, most: 40, who: anyone},
		{group: record.Storm, load: load("storm", "--conns", "64"), share: .13, least: 6, most: 40, who: anyone},
		{group: record.Idle, load: []string{"idle", "--conns", "10000", "--warmup", "500ms", "--time", "200ms"}, share: .13, least: 6, most: 15, fresh: true, who: anyone},
	}
}
