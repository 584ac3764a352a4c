package record

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is where the run took place.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	Memory      int64  `json:"memory"` // bytes
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	Descriptors int    `json:"descriptors"` // RLIMIT_NOFILE
	ServerCores []int  `json:"server_cores,omitempty"`
	ClientCores []int  `json:"client_cores,omitempty"`
	Commit      string `json:"commit"`
}

// ThisMachine describes the machine of this process, without the commit and
// the cores given to whom.
func ThisMachine(descriptors int) Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), Descriptors: descriptors}
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	var kib int64
	for line := range strings.Lines(read("/proc/meminfo")) {
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			m.Memory = kib << 10
		}
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease")) + " " + runtime.GOARCH
	return m
}

// read is a file of /proc; empty if there is none.
func read(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}
