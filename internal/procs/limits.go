package procs

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// limits is what the runtime decides by, as text that is only to be compared: the
// affinity of the process and the CPU limits of its cgroups, version 1 and 2. root is
// where /proc and /sys are.
func limits(root string) string {
	var b strings.Builder
	var set unix.CPUSet
	if unix.SchedGetaffinity(os.Getpid(), &set) == nil {
		fmt.Fprint(&b, set)
	}
	groups, _ := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	mounts, _ := os.ReadFile(path.Join(root, "proc/self/mountinfo"))
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path, see cgroups(7)
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		files := []string{"cpu.cfs_quota_us", "cpu.cfs_period_us"}
		kind := "cgroup"
		if part[0] == "0" && part[1] == "" {
			files, kind = []string{"cpu.max"}, "cgroup2"
		} else if !slices.Contains(strings.Split(part[1], ","), "cpu") {
			continue
		}
		where, from := mount(string(mounts), kind)
		if where == "" {
			continue
		}
		within := strings.TrimPrefix(part[2], strings.TrimSuffix(from, "/"))
		for dir := path.Join("/", within); ; dir = path.Dir(dir) {
			for _, name := range files {
				limit, _ := os.ReadFile(path.Join(root, where, dir, name))
				b.Write(limit)
			}
			if dir == "/" {
				break
			}
		}
	}
	return b.String()
}

// mount is where the CPU controller of that kind of cgroup is mounted, and the group
// that is its root there.
func mount(mounts, kind string) (where, from string) {
	for line := range strings.Lines(mounts) {
		// id parent device root mount-point options … - kind source options, see proc_pid_mountinfo(5)
		left, right, ok := strings.Cut(line, " - ")
		f, of := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(of) < 3 || of[0] != kind {
			continue
		}
		if kind == "cgroup2" || slices.Contains(strings.Split(of[2], ","), "cpu") {
			return f[4], f[3]
		}
	}
	return "", ""
}
