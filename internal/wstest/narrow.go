//go:build linux

package wstest

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// ConnectNarrow is Connect, with small segments and a small buffer to receive into: of what the server sends and nobody
// reads, the kernels take about 100 KB instead of megabytes.
func ConnectNarrow(t testing.TB, addr string) *Conn {
	t.Helper()
	d := net.Dialer{Timeout: DefaultTimeout, Control: func(_, _ string, c syscall.RawConn) error {
		var segment, buffer error
		err := c.Control(func(fd uintptr) {
			segment = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
			buffer = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		return errors.Join(err, segment, buffer)
	}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("wstest: connect: %v", err)
	}
	return newConn(t, nc.(*net.TCPConn), true)
}
