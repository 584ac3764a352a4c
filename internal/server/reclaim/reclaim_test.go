package reclaim

import (
	"os"
	"path"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// TestReclaimer: memory is collected when far less is held than before, and not too often.
func TestReclaimer(t *testing.T) {
	c := clock.NewManual(time.Unix(0, 0))
	held, collected := int64(0), 0
	took := time.Duration(0)
	r := NewReclaimer(c, func() int64 { return held }, func() { collected++; c.Advance(took) })
	look := func(bytes int64, want int) {
		t.Helper()
		held = bytes
		c.Advance(time.Second)
		if r.Look(); collected != want {
			t.Errorf("with %d MiB held it was collected %d times, want %d", bytes>>20, collected, want)
		}
	}
	look(0, 0)
	look(256<<20, 0)
	look(200<<20, 0) // not a quarter less
	look(190<<20, 1)
	look(10<<20, 1) // too soon
	c.Advance(pause)
	look(10<<20, 2)
	look(10<<20, 2)
	c.Advance(pause)
	look(40<<20, 2)
	look(9<<20, 2) // not worthwhile
	took = 2 * time.Second
	look(100<<20, 2)
	c.Advance(pause)
	look(0, 3)
	c.Advance(30 * time.Second)
	look(100<<20, 3)
	look(0, 3) // the last one has taken long
	c.Advance(10 * time.Second)
	look(0, 4)
}

// TestPercent: the garbage beside what is held stays about the same, however much that is.
func TestPercent(t *testing.T) {
	for held, want := range map[int64]int{0: 100, 64 << 20: 100, 128 << 20: 50, 256 << 20: 25, 1 << 40: 20} {
		if got := Percent(held); got != want {
			t.Errorf("%d MiB: %d, want %d", held>>20, got, want)
		}
	}
}

// TestLimit: the least limit of the control groups that the process is in counts.
func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no control groups", nil, 0},
		{"version 2, in a container", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000000\n"}, 900000000},
		{"version 2, none", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		{"version 2, of the parent", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "500\n", "sys/fs/cgroup/a/b/memory.max": "1000\n",
		}, 450},
		{"version 1", map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/m\n",
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes":      "2000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        "9223372036854771712\n",
			"sys/fs/cgroup/cpu,cpuacct/x/memory.limit_in_bytes": "7\n",
		}, 1800},
	} {
		root := t.TempDir()
		for name, text := range tt.files {
			file := path.Join(root, name)
			if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := Limit(root); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
