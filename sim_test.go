//go:build linux

package perch_test

import (
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/simkernel"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the simulation; 0: from 1 on")
	simSeeds = flag.Int("sim.seeds", 0, "how many seeds it runs, from sim.seed or 1 on; 0: dozens, or the one of sim.seed")
	simTrace = flag.Bool("sim.trace", false, "print each event of the simulation")
)

// TestSimulation runs the rooms model on two loops that stand on a simulated kernel: it
// cuts reads, refuses and shortens writes, delays and reorders readiness, fails accepts,
// and resets. A seed determines everything.
func TestSimulation(t *testing.T) {
	first, n := max(*simSeed, 1), *simSeeds
	switch {
	case n > 0:
	case *simSeed != 0:
		n = 1
	case owner.Enabled: // race builds take ten times as long
		n = 12
	default:
		n = 48
	}
	var trace func(string)
	if *simTrace {
		trace = func(line string) { t.Log(line) }
	}
	begin := time.Now()
	turns, events := 0, uint64(0)
	visitors, lost, slow := 0, 0, 0
	for seed := first; seed < first+uint64(n) && !t.Failed(); seed++ {
		r, sum := simulate(seed, simkernel.PlantNone, trace)
		turns, events = turns+r.turns, events+r.machine.Events()
		visitors, lost, slow = visitors+r.visitors, lost+r.lost, slow+r.slow
		for _, f := range r.faults {
			t.Error(f)
		}
		if t.Failed() {
			t.Logf("again: go test -run '^TestSimulation$' . -sim.seed %d", seed)
		}
		if n == 1 {
			t.Logf("sum %s: %d turns, %d events, %d connections, %d lost, %d too slow, %s",
				sum, r.turns, r.machine.Events(), r.visitors, r.lost, r.slow, r.Summary())
		}
	}
	t.Logf("%d seeds from %d on in %v: %d turns, %d events, %d connections, %d came to nothing, %d were too slow",
		n, first, time.Since(begin).Round(time.Millisecond), turns, events, visitors, lost, slow)
}

// TestSimulationRepeats: a seed gives the same run, bit for bit, twice in this process
// and once in another.
func TestSimulationRepeats(t *testing.T) {
	for _, seed := range []uint64{3, 8, 1001, 5_000_000_006} {
		_, one := simulate(seed, simkernel.PlantNone, nil)
		_, two := simulate(seed, simkernel.PlantNone, nil)
		if one != two || one == "" {
			t.Errorf("seed %d gives %s, then %s", seed, one, two)
		}
		again := "-sim.seed=" + strconv.FormatUint(seed, 10)
		out, err := exec.Command(os.Args[0], "-test.run=^TestSimulation$", "-test.v", again).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(string(out), "sum "+one+":") {
			t.Errorf("seed %d gives %s here, and in another process: %s", seed, one, out)
		}
	}
	if _, a := simulate(1, simkernel.PlantNone, nil); a == "" {
		t.Error("no sum")
	} else if _, b := simulate(2, simkernel.PlantNone, nil); a == b {
		t.Error("two seeds give the same run: the sum covers nothing")
	}
}

// TestSimulationFinds: a fault that is planted is found within a few seeds.
func TestSimulationFinds(t *testing.T) {
	for name, plant := range map[string]simkernel.Plant{
		"a forgotten wait for room":         simkernel.PlantRearm,
		"a byte lost at a border of writes": simkernel.PlantBorder,
	} {
		t.Run(name, func(t *testing.T) {
			const most = 30
			for seed := uint64(1); seed <= most; seed++ {
				if r, _ := simulate(seed, plant, nil); len(r.faults) > 0 {
					fault, _, _ := strings.Cut(r.faults[0], "\n")
					t.Logf("seed %d: %s", seed, fault)
					return
				}
			}
			t.Errorf("%d seeds have not found it", most)
		})
	}
}
