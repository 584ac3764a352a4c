//go:build linux

package sock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Pair opens the two ends of a channel for descriptors (a SEQPACKET pair): a
// socket leaves a private table only through one.
func Pair() (from, to int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	return fds[0], fds[1], nil
}

// Pass sends fd and a few bytes through a pair. The caller still owns its fd.
// EAGAIN: the other side is behind.
func Pass(pair, fd int, note []byte) unix.Errno {
	err := unix.Sendmsg(pair, note, unix.UnixRights(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil {
		return 0
	}
	if e, ok := err.(unix.Errno); ok {
		return e
	}
	return unix.EIO
}

// Rights takes the descriptor out of a control message received from a pair.
func Rights(oob []byte) (fd int, ok bool) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return -1, false
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return -1, false
	}
	return fds[0], true
}

// Receive takes a descriptor out of a pair, without waiting. ok is false if
// there is none, or no number was free for it: then it is closed.
func Receive(pair int) (fd int, ok bool) {
	var note [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair, note[:], oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, false
	}
	return Rights(oob[:n])
}
