package suite

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/bench"
)

// load is the CPU time that the machine, a server and the children that this
// process has waited for, which are its clients, have taken so far.
type load struct {
	at                        time.Time
	machine, server, children time.Duration
}

func readLoad(pid int) load {
	l := load{at: time.Now(), machine: machineBusy()}
	if u, err := bench.ProcessUsage(pid); err == nil {
		l.server = u.CPU
	}
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &ru) == nil {
		l.children = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	return l
}

// others is how many cores somebody else has kept busy since before.
func (l load) others(before load) float64 {
	busy := l.machine - before.machine - (l.server - before.server) - (l.children - before.children)
	if wall := l.at.Sub(before.at); wall > 0 && busy > 0 {
		return busy.Seconds() / wall.Seconds()
	}
	return 0
}

// machineBusy is the time that all cores have not been idle.
func machineBusy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, iowait, irq, softirq int64
	if _, err := fmt.Sscanf(string(b), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		return 0
	}
	return time.Duration(user+nice+system+irq+softirq) * bench.ClockTick
}
