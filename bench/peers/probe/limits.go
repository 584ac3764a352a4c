package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/bench/peers/wire"
)

const (
	// headTime is how long a client may dawdle over its request before it counts as unlimited.
	headTime = 12 * time.Second
	// busy is the share of a CPU from which a server that cannot accept counts as spinning.
	busy = 0.3
)

// halfRequest sends the begin of a request and says when the server has enough.
func halfRequest(addr string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: localhost\r\n"); err != nil {
		return err.Error()
	}
	begin := time.Now()
	_ = c.SetReadDeadline(begin.Add(headTime))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("kept for more than %.0f s", headTime.Seconds())
	}
	return fmt.Sprintf("closed after %.0f s", time.Since(begin).Seconds())
}

// noDescriptors takes the server's descriptors away, connects more often than it
// can accept, and says how it takes that and whether it accepts afterwards.
func noDescriptors(addr string, pid int) string {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err.Error()
	}
	var before unix.Rlimit
	limit := unix.Rlimit{Cur: uint64(len(open) + 8), Max: uint64(len(open) + 8)}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, &before); err != nil {
		return err.Error()
	}
	var conns []net.Conn
	for range 64 {
		if c, err := net.DialTimeout("tcp", addr, wire.Patience); err == nil {
			conns = append(conns, c)
		}
	}
	cpu := cpuTime(pid)
	time.Sleep(time.Second) // what is measured is what it does meanwhile
	spent := cpuTime(pid) - cpu
	for _, c := range conns {
		c.Close()
	}
	for end := time.Now().Add(wire.Patience); ; time.Sleep(50 * time.Millisecond) {
		if err = echoes(addr); err == nil || time.Now().After(end) {
			break
		}
	}
	switch {
	case err != nil && syscall.Kill(pid, 0) != nil:
		return "server ends"
	case err != nil:
		return "accepts no more"
	case spent > busy*float64(time.Second):
		return "spins"
	}
	return "ok"
}

// cpuTime is what the process has used, in nanoseconds.
func cpuTime(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) * float64(time.Second) / 100 // USER_HZ
}
