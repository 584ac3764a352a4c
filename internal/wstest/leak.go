package wstest

import (
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// leakWait is how long goroutines and descriptors may take to go away.
const leakWait = 10 * time.Second

// Main runs the tests of a package and fails if they leave a goroutine or an
// open descriptor behind. It does not return.
//
//	func TestMain(m *testing.M) { wstest.Main(m) }
func Main(m *testing.M) {
	before := snapshot()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // the fuzzer keeps workers
	if code == 0 && !fuzzing {
		if leaks := before.wait(leakWait); leaks != "" {
			fmt.Fprintln(os.Stderr, "FAIL: left behind by the tests:\n"+leaks)
			code = 1
		}
	}
	os.Exit(code)
}

// NoLeaks fails t if it leaves a goroutine or an open descriptor behind. Call it
// first: what is closed by a later Cleanup is seen closed. It is not for tests
// that run in parallel with others.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := snapshot()
	t.Cleanup(func() {
		if leaks := before.wait(leakWait); leaks != "" {
			t.Errorf("left behind by the test:\n%s", leaks)
		}
	})
}

// resources are what a process can leak: descriptors by number, with what they
// refer to, and goroutines by id, with their stacks.
type resources struct {
	files      map[string]string
	goroutines map[string]string
}

func snapshot() resources {
	// The runtime's poller opens descriptors of its own when it is first used.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	return resources{openFiles(), liveGoroutines()}
}

// wait returns what is here now and was not before, "" as soon as there is nothing.
func (r resources) wait(most time.Duration) string {
	for end := time.Now().Add(most); ; time.Sleep(2 * time.Millisecond) {
		leaks := r.since()
		if leaks == "" || time.Now().After(end) {
			return leaks
		}
	}
}

func (r resources) since() string {
	var b strings.Builder
	files := openFiles()
	for _, fd := range slices.Sorted(maps.Keys(files)) {
		if r.files[fd] != files[fd] {
			fmt.Fprintf(&b, "descriptor %s: %s\n", fd, files[fd])
		}
	}
	live := liveGoroutines()
	for _, id := range slices.Sorted(maps.Keys(live)) {
		if _, ok := r.goroutines[id]; !ok {
			b.WriteString(live[id] + "\n\n")
		}
	}
	return b.String()
}

// openFiles lists the descriptor table of the calling thread: other threads may
// have tables of their own, the main thread, which /proc/self shows, among them.
func openFiles() map[string]string {
	const dir = "/proc/thread-self/fd"
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	files := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return files
	}
	for _, e := range entries {
		// The descriptor that ReadDir read from is closed by now.
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil {
			files[e.Name()] = target
		}
	}
	return files
}

// liveGoroutines leaves out the caller, and the one that os/signal starts once
// and for ever.
func liveGoroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		if n := runtime.Stack(buf, true); n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	live := make(map[string]string)
	for i, stack := range strings.Split(strings.TrimSpace(string(buf)), "\n\n") {
		if i == 0 || strings.Contains(stack, "os/signal.loop") {
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		live[id] = stack
	}
	return live
}
