package reclaim

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// Limit is how much memory the collector should keep the process within: nine tenths of the limit of its control group;
// 0: there is none. root is "/", or another directory in a test.
func Limit(root string) int64 {
	least := int64(0)
	for _, file := range limitFiles(root) {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && n > 0 && n < noLimit && (least == 0 || n < least) { // "max" is no number
			least = n
		}
	}
	return least / 10 * 9
}

// noLimit is what version 1 says for none, about: the largest number of pages.
const noLimit = 1 << 60

// limitFiles are the files that may have a limit: of the process's control group and of those that it is in.
func limitFiles(root string) (files []string) {
	b, _ := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy, controllers, path
		if len(parts) != 3 {
			continue
		}
		base, name := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "memory":
			base, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(root, base, group, name))
			if group == "/" {
				break
			}
		}
	}
	return files
}
