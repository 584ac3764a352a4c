//go:build linux

package sock

import (
	"iter"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kernel is what a loop asks of the kernel about its sockets, one method for each
// system call. System is the real one; a simulation has another. None of the methods
// waits. All of them are called on the loop's thread: a descriptor means something in
// that thread's table only.
//
// A slice that is handed to a method is not kept after it returns.
type Kernel interface {
	// Listen and Accept: see the functions of these names, here as below.
	Listen(addr netip.AddrPort, shared bool) (fd int, err error)
	Accept(listener int) (fd int, peer netip.Addr, errno unix.Errno)
	Connect(remote netip.AddrPort, local netip.Addr) (fd int, errno unix.Errno)
	SetBuffers(fd, unsent, receive int)

	Recv(fd int, p []byte) (n int, errno unix.Errno)
	Send(fd int, p []byte) (n int, errno unix.Errno)
	// SendVector is Vector.Send.
	SendVector(fd int, v *Vector) (n int, errno unix.Errno)

	ShutdownWrite(fd int)
	Close(fd int)
	Reset(fd int)

	// Error takes the pending error of a socket.
	Error(fd int) unix.Errno
	LocalAddr(fd int) netip.AddrPort
	PeerAddr(fd int) netip.AddrPort
	PeerProgress(fd int) Progress
	Unacked(fd int) int
	Unread(fd int) bool

	// Spare opens a descriptor that does nothing but hold its number.
	Spare() (fd int, errno unix.Errno)
}

// System is the real Kernel: the functions of this package.
type System struct{}

// Listen implements Kernel.
func (System) Listen(addr netip.AddrPort, shared bool) (fd int, err error) {
	return Listen(addr, shared)
}

// Accept implements Kernel.
func (System) Accept(listener int) (fd int, peer netip.Addr, errno unix.Errno) {
	return Accept(listener)
}

// Connect implements Kernel.
func (System) Connect(remote netip.AddrPort, local netip.Addr) (fd int, errno unix.Errno) {
	return Connect(remote, local)
}

// SetBuffers implements Kernel.
func (System) SetBuffers(fd, unsent, receive int) { SetBuffers(fd, unsent, receive) }

// Recv implements Kernel.
func (System) Recv(fd int, p []byte) (n int, errno unix.Errno) { return Recv(fd, p) }

// Send implements Kernel.
func (System) Send(fd int, p []byte) (n int, errno unix.Errno) { return Send(fd, p) }

// SendVector implements Kernel.
func (System) SendVector(fd int, v *Vector) (n int, errno unix.Errno) { return v.Send(fd) }

// ShutdownWrite implements Kernel.
func (System) ShutdownWrite(fd int) { ShutdownWrite(fd) }

// Close implements Kernel.
func (System) Close(fd int) { Close(fd) }

// Reset implements Kernel.
func (System) Reset(fd int) { Reset(fd) }

// Error implements Kernel.
func (System) Error(fd int) unix.Errno { return Error(fd) }

// LocalAddr implements Kernel.
func (System) LocalAddr(fd int) netip.AddrPort { return LocalAddr(fd) }

// PeerAddr implements Kernel.
func (System) PeerAddr(fd int) netip.AddrPort { return PeerAddr(fd) }

// PeerProgress implements Kernel.
func (System) PeerProgress(fd int) Progress { return PeerProgress(fd) }

// Unacked implements Kernel.
func (System) Unacked(fd int) int { return Unacked(fd) }

// Unread implements Kernel.
func (System) Unread(fd int) bool { return Unread(fd) }

// Spare implements Kernel.
func (System) Spare() (fd int, errno unix.Errno) { return Spare() }

// Spare opens a descriptor that does nothing but hold its number: for a process
// without descriptors, which closes it to accept one connection.
func Spare() (fd int, errno unix.Errno) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err.(unix.Errno)
	}
	return fd, 0
}

// Slices are the gathered slices, in order: for a Kernel that is not the real one.
func (v *Vector) Slices() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range v.iov[:v.n] {
			if !yield(unsafe.Slice(v.iov[i].Base, v.iov[i].Len)) {
				return
			}
		}
	}
}
