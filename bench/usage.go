package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which Linux fixes at
// 100 for all that programs see.
const clockTick = 10 * time.Millisecond

// usage is what processes have taken so far.
type usage struct {
	cpu   time.Duration // user and system
	rss   int64         // bytes
	count int           // processes
}

// machine is a sample of both sides.
type machine struct {
	client time.Duration // CPU time of this process
	server usage         // zero without a pid
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
	m.server, err = processUsage(pid)
	return m, err
}

// processUsage adds up a process and its descendants. The CPU time of those
// that have ended is in their parent's once it has waited for them.
func processUsage(pid int) (usage, error) {
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
			if c, err := processUsage(child); err == nil { // else it has just ended
				u.cpu, u.rss, u.count = u.cpu+c.cpu, u.rss+c.rss, u.count+c.count
			}
		}
	}
	return u, nil
}

// readProcess reads one process: fields 14 to 17 and 24 of /proc/pid/stat, see
// proc_pid_stat(5), and its memory from smaps_rollup where that may be read,
// because the counter in stat is a few hundred kilobytes off.
func readProcess(pid int) (usage, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from field 3 on; the name may hold anything
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("process %d: stat has %d fields", pid, len(fields)+2)
	}
	number := func(field int) int64 { // 0 for what is none, which the kernel does not write
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	ticks := number(14) + number(15) + number(16) + number(17)
	u := usage{cpu: time.Duration(ticks) * clockTick, rss: number(24) * int64(os.Getpagesize()), count: 1}
	for line := range strings.Lines(readText(fmt.Sprintf("/proc/%d/smaps_rollup", pid))) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kib); n == 1 {
			u.rss = kib << 10
		}
	}
	return u, nil
}
