//go:build linux

package sock

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The raw calls are package syscall's: x/sys reaches them through one more jump
// between calling conventions, which costs as much as parsing a frame.

// Recv reads what is there, up to len(p) > 0 bytes. n == 0 without an errno is
// the end of the input.
func Recv(fd int, p []byte) (n int, errno unix.Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Send writes what there is room for, at most MaxRaw bytes of p. SIGPIPE is not
// raised; a peer that is gone is EPIPE or ECONNRESET.
func Send(fd int, p []byte) (n int, errno unix.Errno) {
	if len(p) > MaxRaw {
		p = p[:MaxRaw]
	}
	r, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// MaxVector is the most slices that one SendVector takes.
const MaxVector = 64

// Vector gathers slices for one send. It holds on to nothing after Reset.
type Vector struct {
	iov   [MaxVector]unix.Iovec
	n     int
	bytes int
	msg   unix.Msghdr
}

// Add appends b, which must not be empty. It reports whether there was room.
func (v *Vector) Add(b []byte) bool {
	if v.n == MaxVector {
		return false
	}
	v.iov[v.n].Base = unsafe.SliceData(b)
	v.iov[v.n].SetLen(len(b))
	v.n++
	v.bytes += len(b)
	return true
}

// Len is the number of bytes gathered.
func (v *Vector) Len() int { return v.bytes }

// Reset forgets the slices, so that they can be collected.
func (v *Vector) Reset() {
	clear(v.iov[:v.n])
	v.n, v.bytes = 0, 0
}

// Send writes what there is room for of the gathered bytes. More than MaxRaw
// go through the scheduler, so that a large copy does not hold up a
// stop-the-world.
func (v *Vector) Send(fd int) (n int, errno unix.Errno) {
	v.msg.Iov = &v.iov[0]
	v.msg.SetIovlen(v.n)
	var r uintptr
	var e unix.Errno
	if v.bytes > MaxRaw {
		r, _, e = syscall.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	} else {
		r, _, e = syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Unacked is the number of bytes sent that the peer has not acknowledged yet
// (SIOCOUTQ).
func Unacked(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Progress is how far the kernel has come with what was sent on a socket.
type Progress struct {
	// Taken grows with the bytes that the peer's kernel has acknowledged. On a unix
	// socket it grows with those that the peer has read, and shrinks with those that
	// are sent: two of them are to be compared, and no more.
	Taken   uint64
	Waiting bool          // bytes are sent, or to be sent, that are not taken
	Backlog bool          // more of them than are under way for a moment: the peer, or the network, is slow
	Window  uint32        // bytes that the peer has said it has room for; 0: nobody knows
	LastAck time.Duration // since the last acknowledgement of anything; −1: nobody knows
}

// moment is how many bytes on the wire are no backlog: acknowledgements take their
// time too.
const moment = 16 << 10

// PeerProgress asks the kernel, with one system call for TCP (TCP_INFO; 1 µs).
func PeerProgress(fd int) Progress {
	var info unix.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if e == 0 {
		return Progress{
			Taken:   info.Bytes_acked,
			Waiting: info.Unacked > 0 || info.Notsent_bytes > 0,
			Backlog: info.Notsent_bytes > 0 || info.Bytes_sent-info.Bytes_retrans > info.Bytes_acked+moment,
			Window:  info.Snd_wnd,
			LastAck: time.Duration(info.Last_ack_recv) * time.Millisecond,
		}
	}
	n := Unacked(fd)
	return Progress{Taken: 1<<62 - uint64(n), Waiting: n > 0, Backlog: n > 0, LastAck: -1}
}

// Unread reports that there is input nobody has received yet.
func Unread(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err == nil && n > 0
}

// ShutdownWrite sends FIN behind what was sent (RFC 6455 §7.1.1 calls it the
// half-close that lets the peer read our last bytes).
func ShutdownWrite(fd int) { syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0) }

// Close closes fd. Sockets here never linger, so it does not sleep.
func Close(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Reset closes fd with a RST: bytes that are not sent yet are dropped.
func Reset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	Close(fd)
}

// Error takes the pending error of a socket (SO_ERROR), 0 if there is none.
func Error(fd int) unix.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return unix.EBADF
	}
	return unix.Errno(v)
}
