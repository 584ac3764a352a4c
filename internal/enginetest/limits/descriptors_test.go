//go:build linux

package limits_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Out of descriptors: those who are connected are served, accepting rests
// without spinning, and goes on when there are descriptors again.
func TestOutOfDescriptors(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	const clients = 8
	enginetest.LimitDescriptors(t, 64)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, enginetest.Echo())
	connected := enginetest.Dial(t, srv)
	fds, connect := openSockets(t, srv, clients)
	empty := enginetest.FillDescriptors(t, 0)
	for _, fd := range fds {
		connect(fd)
		if _, err := syscall.Write(fd, wstest.Request("test", "/ws")); err != nil {
			t.Fatal(err)
		}
	}
	enginetest.AwaitStats(t, srv, "accepting has paused", func(s *perch.Stats) bool { return s.AcceptPauses > 0 })

	before, begin, busy := srv.Stats(), time.Now(), cpuTime(t)
	for time.Since(begin) < 700*time.Millisecond { // longer than a pause
		connected.Send(wstest.Text("served"))
		connected.ExpectText("served")
		connected.ExpectSilence(50 * time.Millisecond)
	}
	took := time.Since(begin)
	s := srv.Stats()
	if n := s.AcceptPauses - before.AcceptPauses; n > uint64(took/(400*time.Millisecond)) || s.Accepted != 1 {
		t.Errorf("tried to accept %d times in %v, accepted %d", n, took, s.Accepted)
	}
	if n := s.Ticks.Count - before.Ticks.Count; n > 200 {
		t.Errorf("%d turns of the loop in %v", n, took)
	}
	if used := cpuTime(t) - busy; used > took/2 {
		t.Errorf("%v of the processor in %v", used, took)
	}

	empty()
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "client")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(wstest.DefaultTimeout))
		head := make([]byte, 12)
		if _, err := c.Read(head); err != nil || string(head) != "HTTP/1.1 101" {
			t.Errorf("answered %q, %v", head, err)
		}
		c.Close()
	}
	if s := srv.Stats(); s.Accepted != clients+1 || s.AcceptErrors != 0 {
		t.Errorf("accepted %d, %d errors", s.Accepted, s.AcceptErrors)
	}
}

// openSockets opens n sockets of clients while there are descriptors: to connect one to the server then needs no other,
// on this side.
func openSockets(t *testing.T, srv *perch.Server, n int) (fds []int, connect func(fd int)) {
	t.Helper()
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	addr := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: srv.Addr().(*net.TCPAddr).Port}
	return fds, func(fd int) {
		t.Helper()
		if err := syscall.Connect(fd, addr); err != nil {
			t.Fatal(err)
		}
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// A Start that runs out of descriptors half-way is an error and leaves none open,
// nor a loop running.
func TestStartOutOfDescriptors(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	wstest.NoLeaks(t)
	enginetest.LimitDescriptors(t, 128)
	for spare := 1; ; spare++ { // wherever it happens
		srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 4, HTTP: http.NotFoundHandler()})
		srv.HandleBlocking("/ws", perch.BlockingHandler{})
		empty := enginetest.FillDescriptors(t, spare)
		err := srv.Start()
		empty()
		done := make(chan error, 1)
		go func() { done <- srv.Close() }()
		wstest.Receive(t, "Close", done)
		if err == nil {
			if spare < 4*4 { // epoll, eventfd, listener and a pair's end for each loop
				t.Errorf("started with %d descriptors", spare)
			}
			srv.Wait()
			return
		}
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%d descriptors free: %v", spare, err)
		}
	}
}
