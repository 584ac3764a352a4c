package procs

import (
	"os"
	"path/filepath"
	"testing"
)

// tree makes files below a new root.
func tree(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A limit that changes shows, of the process's own group or of one above it; others'
// do not.
func TestLimits(t *testing.T) {
	const v2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
	const v1 = "30 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for name, tt := range map[string]struct {
		files         map[string]string
		counts, other string
	}{
		"v2": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/c/cpu.max": "max 100000\n",
		}, "sys/fs/cgroup/a/b/cpu.max", "sys/fs/cgroup/c/cpu.max"},
		"v2, above": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/c/cpu.max": "max 100000\n",
		}, "sys/fs/cgroup/a/cpu.max", "sys/fs/cgroup/a/c/cpu.max"},
		"v1": {map[string]string{
			"proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/a\n0::/\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/memory/m/cpu.cfs_quota_us": "-1\n",
		}, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "sys/fs/cgroup/memory/m/cpu.cfs_quota_us"},
		"container": {map[string]string{ // its own group is the root of the mount
			"proc/self/cgroup": "0::/docker/x\n", "proc/self/mountinfo": "29 23 0:26 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/docker/x/cpu.max": "max 100000\n",
		}, "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/docker/x/cpu.max"},
	} {
		root := tree(t, tt.files)
		change := func(file string) (changed bool) {
			before := limits(root)
			if err := os.WriteFile(filepath.Join(root, file), []byte("50000 100000\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return limits(root) != before
		}
		if change(tt.other) {
			t.Errorf("%s: a change of %s shows", name, tt.other)
		}
		if !change(tt.counts) {
			t.Errorf("%s: a change of %s does not show", name, tt.counts)
		}
	}
	for name, files := range map[string]map[string]string{
		"nothing": nil, "nonsense": {"proc/self/cgroup": "x\n1:\n:::\n", "proc/self/mountinfo": "a - b\n - \n\n"},
	} {
		root := tree(t, files)
		if before := limits(root); limits(root) != before {
			t.Errorf("%s: changes by itself", name)
		}
	}
}
