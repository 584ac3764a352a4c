//go:build linux

package enginetest

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// LiveMemory is what the collector finds alive, and the stacks, in bytes.
func LiveMemory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// ResidentBytes is the resident memory of this process.
func ResidentBytes(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}
