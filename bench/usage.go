package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ClockTick is the unit of CPU times in /proc: USER_HZ, which Linux fixes at
// 100 for all that programs see.
const ClockTick = 10 * time.Millisecond

// Usage is what processes have taken so far.
type Usage struct {
	CPU       time.Duration // user and system
	RSS       int64         // bytes
	Processes int
}

// machine is a sample of both sides.
type machine struct {
	client time.Duration // CPU time of this process
	server Usage         // zero without a pid
	pings  uint64        // answered by now; set by run.measure
}

// interval is what a measured interval began and ended with.
type interval struct {
	length        time.Duration
	before, after machine
}

// sample takes one. pid 0: of this process alone.
func sample(pid int) (machine, error) {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return machine{}, fmt.Errorf("getrusage: %w", err)
	}
	m := machine{client: time.Duration(ru.Utime.Nano() + ru.Stime.Nano())}
	if pid == 0 {
		return m, nil
	}
	var err error
	m.server, err = ProcessUsage(pid)
	return m, err
}

// ProcessUsage adds up a process and its descendants. The CPU time of those
// that have ended is in their parent's once it has waited for them.
func ProcessUsage(pid int) (Usage, error) {
	u, err := readProcess(pid)
	if err != nil {
		return u, err
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return u, err
	}
	for _, list := range lists {
		for _, field := range strings.Fields(readText(list)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return u, fmt.Errorf("%s: %w", list, err)
			}
			if c, err := ProcessUsage(child); err == nil { // else it has just ended
				u.CPU, u.RSS, u.Processes = u.CPU+c.CPU, u.RSS+c.RSS, u.Processes+c.Processes
			}
		}
	}
	return u, nil
}

// dropped is how many packets the kernel has dropped on this machine before a
// socket saw them: the queue of a core (net.core.netdev_max_backlog) was full.
// TCP sends them again, after 200 ms and more.
func dropped() uint64 { return parseDropped(readText("/proc/net/softnet_stat")) }

// parseDropped adds up the second column, which is in hex, a line for each core.
func parseDropped(text string) (n uint64) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 {
			core, _ := strconv.ParseUint(fields[1], 16, 64)
			n += core
		}
	}
	return n
}

// AllowedCores is how many cores a process may use.
func AllowedCores(pid int) int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil {
		return runtime.NumCPU()
	}
	return set.Count()
}

// cpuClock reads the CPU-time clock of a process, to the nanosecond and ended
// threads included: clock_getcpuclockid(3), whose encoding is part of the
// kernel's interface. The times of stat come in steps of a ClockTick.
func cpuClock(pid int) (time.Duration, bool) {
	const sched = 2 // CPUCLOCK_SCHED, of the whole process
	var ts unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|sched, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// readProcess reads one process: fields 14 to 17 and 24 of /proc/pid/stat, see
// proc_pid_stat(5), and its memory from smaps_rollup where that may be read,
// because the counter in stat is a few hundred kilobytes off.
func readProcess(pid int) (Usage, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from field 3 on; the name may hold anything
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("process %d: stat has %d fields", pid, len(fields)+2)
	}
	number := func(field int) int64 { // 0 for what is none, which the kernel does not write
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	own, waitedFor := time.Duration(number(14)+number(15))*ClockTick, time.Duration(number(16)+number(17))*ClockTick
	if d, ok := cpuClock(pid); ok {
		own = d
	}
	u := Usage{CPU: own + waitedFor, RSS: number(24) * int64(os.Getpagesize()), Processes: 1}
	for line := range strings.Lines(readText(fmt.Sprintf("/proc/%d/smaps_rollup", pid))) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kib); n == 1 {
			u.RSS = kib << 10
		}
	}
	return u, nil
}
