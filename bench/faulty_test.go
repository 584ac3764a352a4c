package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// rawecho builds bench/baseline/rawecho, a server in C that shares no code with
// the clients here, and can be told to do wrong.
func rawecho(t *testing.T) (program string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no gcc, and CI=true: apt-get install gcc libc6-dev")
		}
		t.Skip("no gcc: apt-get install gcc libc6-dev")
	}
	program = filepath.Join(t.TempDir(), "rawecho")
	cmd := exec.Command(gcc, "-O1", "-o", program, "baseline/rawecho.c", "-lpthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// faulty runs it until the test ends, and returns its address as a URL.
func faulty(t *testing.T, program string, args ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close()
	cmd := exec.Command(program, append([]string{"--port", strconv.Itoa(addr.Port)}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
	})
	wstest.Eventually(t, "the server to listen", func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return fmt.Sprintf("ws://%s/ws", addr)
}

// TestFaultyServer has every mode load a server of another make that does one
// thing wrong: it is seen, and called by its name.
func TestFaultyServer(t *testing.T) {
	program := rawecho(t)
	load := func(mode string, target Target, pipelined int) interface {
		Run(context.Context) (*Result, error)
	} {
		switch mode {
		case "echo":
			return Echo{Target: target, Size: 64, Depth: pipelined}
		case "echo at a rate":
			return Echo{Target: target, Size: 64, Depth: 1, Rate: 5000}
		case "fanout":
			return Fanout{Target: target, Pubs: 1, Size: 100, Template: "PUB m={seq},{ts} {pad}", Exact: true, Rate: 300}
		case "storm":
			return Storm{target}
		}
		return Idle{Target: target}
	}
	for _, tt := range []struct {
		mode  string
		fault string // none: "none"
		every int
		want  []Fault // all of them; what else a lost connection brings along may be there too
	}{
		{"echo", "none", 0, nil},
		{"echo", "corrupt", 500, []Fault{Corrupt}},
		{"echo", "drop", 500, []Fault{Lost}},
		{"echo", "reorder", 500, []Fault{Reordered}},
		{"echo", "duplicate", 500, []Fault{Duplicate}},
		{"echo", "close", 500, []Fault{Closed}},
		{"echo", "badaccept", 5, []Fault{Handshake}},
		{"echo", "noclose", 5, []Fault{Closing}},
		{"echo at a rate", "none", 0, nil},
		{"echo at a rate", "corrupt", 100, []Fault{Corrupt}},
		{"echo at a rate", "drop", 100, []Fault{Lost}},
		{"echo at a rate", "duplicate", 100, []Fault{Duplicate}},
		{"echo at a rate", "close", 100, []Fault{Closed}},
		{"fanout", "none", 0, nil},
		{"fanout", "corrupt", 53, []Fault{Corrupt}},
		{"fanout", "drop", 53, []Fault{Lost}},
		{"fanout", "reorder", 53, []Fault{Reordered}},
		{"fanout", "duplicate", 53, []Fault{Duplicate}},
		{"fanout", "close", 53, []Fault{Closed}},
		{"storm", "none", 0, nil},
		{"storm", "badaccept", 10, []Fault{Handshake}},
		{"storm", "noclose", 10, []Fault{Closing}},
		{"idle", "none", 0, nil},
		{"idle", "close", 5, []Fault{Closed}},
		{"idle", "badaccept", 5, []Fault{Handshake}},
		{"idle", "noclose", 5, []Fault{Closing}},
	} {
		t.Run(tt.mode+" "+tt.fault, func(t *testing.T) {
			wstest.NoLeaks(t)
			var args []string
			if tt.fault != "none" {
				args = []string{"--fault", tt.fault, "--fault-every", strconv.Itoa(tt.every)}
			}
			if tt.mode == "fanout" {
				args = append(args, "--fanout")
			}
			target := target(t, faulty(t, program, args...), 20)
			if tt.want != nil { // what is missing will not come
				target.Drain = 200 * time.Millisecond
			}
			res := runUntil(t, func(d time.Duration) *Result {
				target.Time = d
				return runOf(t, load(tt.mode, target, 8))
			}, func(r *Result) bool { return hasFaults(r, tt.want) })
			if !hasFaults(res, tt.want) || res.OK != (tt.want == nil) {
				t.Errorf("ok %v, faults %v, want %v", res.OK, res.Errors, tt.want)
			}
		})
	}
}
