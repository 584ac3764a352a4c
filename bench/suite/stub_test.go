package suite

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/internal/wstest"
)

// asStub makes a process of this test binary a stub server: its value says what
// it does.
const asStub = "RUN_AS_STUB"

func TestMain(m *testing.M) {
	if how := os.Getenv(asStub); how != "" {
		stub(how, os.Args[1])
	}
	wstest.Main(m)
}

// stub listens, and ends as `perchbench serve` does.
func stub(how, port string) {
	if how == "broken" {
		fmt.Fprintln(os.Stderr, "stub: no such option")
		os.Exit(2)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	fmt.Fprintf(os.Stderr, "level=INFO msg=bye\n{\n  \"TickP50\": \"16µs\",\n  \"TickP99\": \"262µs\",\n  \"GCs\": 3,\n  \"GCPauseMax\": \"1ms\",\n  \"Connections\": 0\n}\n")
	os.Exit(0)
}

// stubServer is a server of the test.
func stubServer(name, how string) subject {
	return subject{Server: record.Server{Name: name, Lang: "Go"}, run: []string{os.Args[0], "{port}"}, env: []string{asStub + "=" + how}, echoPath: "/ws", fanPath: "/fan"}
}

// testDriver drives servers with a client of the test.
func testDriver(t *testing.T, client func(ctx context.Context, s *subject, p *process, load []string) (*bench.Result, error), servers ...subject) *driver {
	t.Helper()
	wstest.NoLeaks(t)
	d, err := newDriver(Options{Root: t.TempDir(), Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	if client != nil {
		d.client = client
	}
	for _, s := range servers {
		d.add(s)
	}
	return d
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// good is a result without faults.
func good(perCPU float64) *bench.Result {
	return &bench.Result{OK: true, Server: &bench.Server{PerCPUSecond: perCPU}}
}

// gone reports that a process of ours has ended and was waited for.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }
