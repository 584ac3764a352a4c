package suite

import (
	"strconv"

	"github.com/perchws/perch/bench/record"
)

// workload is a load, and which of the servers get it.
type workload struct {
	group string
	x     int
	load  []string // mode and options of perchbench, without the address
	share float64  // of the suite's time
	most  int      // rounds
	fresh bool     // a new process for each measurement: its memory is the figure
	who   func(s *subject) bool
}

// least is how many rounds a case has at least, whatever the time.
const least = 3

// Sizes of the rooms and numbers of connections that make the curves. The last
// of the connections are for the server with a table for each loop alone.
var (
	roomSizes   = []int{10, 100, 1000, 10_000}
	connections = []int{1000, 10_000, 100_000}
)

const (
	mainRoom = 1000 // the room that the summary shows
	idle     = 5000 // connections of the summary's memory
	peerMost = 10_000
	// latencyRate is what every server can do, in messages per second.
	latencyRate = "5000"
)

func everyone(s *subject) bool { return !s.scale }
func scaling(s *subject) bool  { return s.scale }
func rooms(s *subject) bool    { return !s.scale && s.fanPath != "" }

// full is what `make bench` runs.
func full(limit int) (all []workload) {
	load := func(args ...string) []string { return append(args, "--warmup", "300ms", "--time", "1s") }
	all = []workload{
		{group: record.Echo, load: load("echo", "--conns", "200", "--size", "128"), share: .11, most: 15, who: everyone},
		{group: record.Pipelined, load: load("echo", "--conns", "200", "--size", "128", "--depth", "16"), share: .11, most: 15, who: everyone},
		{group: record.Latency, load: []string{"echo", "--conns", "200", "--size", "128", "--rate", latencyRate, "--warmup", "500ms", "--time", "2s"},
			share: .12, most: 9, who: everyone},
		{group: record.Storm, load: load("storm", "--conns", "64"), share: .07, most: 9, who: everyone},
		{group: record.Idle, load: []string{"idle", "--conns", strconv.Itoa(idle), "--warmup", "500ms", "--time", "200ms"},
			share: .12, most: 7, fresh: true, who: everyone},
	}
	shares := map[int]float64{10: .04, 100: .04, mainRoom: .10, 10_000: .10}
	for _, n := range roomSizes {
		if n+500 > limit {
			continue
		}
		l := load("fanout", "--conns", strconv.Itoa(n), "--pubs", "1", "--size", "128")
		all = append(all, workload{group: record.Fanout, x: n, load: l, share: shares[n], most: 9, who: rooms})
	}
	for _, n := range connections {
		who, share := scaling, .03
		if n <= peerMost && n+500 <= limit {
			who, share = func(*subject) bool { return true }, .04
		}
		text := strconv.Itoa(n)
		all = append(all, workload{group: record.Messages, x: n, load: []string{"echo", "--conns", text, "--size", "128", "--rate", latencyRate,
			"--warmup", "500ms", "--time", "2s", "--connect-timeout", "60s"}, share: share, most: 5, who: who})
	}
	for _, n := range connections {
		all = append(all, workload{group: record.Pings, x: n, load: []string{"idle", "--conns", strconv.Itoa(n), "--warmup", "5s", "--time", "10s",
			"--connect-timeout", "60s"}, share: .02, most: 5, fresh: true, who: scaling})
	}
	return append(all, workload{group: record.Generator, load: load("echo", "--conns", "200", "--size", "128"), share: .04, most: 15,
		who: func(s *subject) bool { return s.Name == "perch" }})
}

// smoke shows within a minute that every kind of measurement works.
func smoke() []workload {
	load := func(args ...string) []string { return append(args, "--warmup", "50ms", "--time", "200ms") }
	return []workload{
		{group: record.Echo, load: load("echo", "--conns", "20", "--size", "128"), most: 2, who: everyone},
		{group: record.Pipelined, load: load("echo", "--conns", "20", "--size", "128", "--depth", "16"), most: 1, who: everyone},
		{group: record.Latency, load: load("echo", "--conns", "20", "--size", "128", "--rate", "1000"), most: 2, who: everyone},
		{group: record.Storm, load: load("storm", "--conns", "8"), most: 1, who: everyone},
		{group: record.Idle, load: load("idle", "--conns", "500"), most: 1, fresh: true, who: everyone},
		{group: record.Fanout, x: 10, load: load("fanout", "--conns", "10", "--pubs", "1", "--size", "128"), most: 1, who: rooms},
		{group: record.Fanout, x: mainRoom, load: load("fanout", "--conns", "1000", "--pubs", "1", "--size", "128"), most: 1, who: rooms},
		{group: record.Messages, x: 1000, load: load("echo", "--conns", "1000", "--size", "128", "--rate", "1000"), most: 1, who: scaling},
		{group: record.Pings, x: 1000, load: []string{"idle", "--conns", "1000", "--warmup", "5s", "--time", "5s"}, most: 1, fresh: true, who: scaling},
		{group: record.Generator, load: load("echo", "--conns", "20", "--size", "128"), most: 1, who: func(s *subject) bool { return s.Name == "perch" }},
	}
}

// pair is what two commits are compared by.
func pair() []workload {
	load := func(args ...string) []string { return append(args, "--warmup", "200ms", "--time", "700ms") }
	any := func(*subject) bool { return true }
	return []workload{
		{group: record.Echo, load: load("echo", "--conns", "200", "--size", "128"), share: .2, most: 60, who: any},
		{group: record.Pipelined, load: load("echo", "--conns", "200", "--size", "128", "--depth", "16"), share: .2, most: 60, who: any},
		{group: record.Latency, load: []string{"echo", "--conns", "200", "--size", "128", "--rate", "20000", "--warmup", "300ms", "--time", "1s"},
			share: .15, most: 60, who: any},
		{group: record.Fanout, x: mainRoom, load: load("fanout", "--conns", "1000", "--pubs", "1", "--size", "128"), share: .15, most: 40, who: any},
		{group: record.Storm, load: load("storm", "--conns", "64"), share: .15, most: 40, who: any},
		{group: record.Idle, load: []string{"idle", "--conns", "10000", "--warmup", "500ms", "--time", "200ms"}, share: .15, most: 15, fresh: true, who: any},
	}
}
