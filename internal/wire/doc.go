// Package wire is the net.Conn below a tls.Conn whose socket belongs to an event loop.
//
// crypto/tls reads and writes a net.Conn and waits in both. A loop never waits. A [Wire] stands between them and
// has three lives, one at a time:
//
//	life        begins with       Read                              Write
//	handshake   BeginHandshake    waits for input from the loop     gives records to the Sink
//	loop        EndHandshake,     takes the input of SetInput,      appends records to the loop's Output
//	            ToLoop            never waits (ErrDrained)          and never fails
//	socket      ToSocket          reads the socket                  writes the socket
//
// Who may call what:
//
//   - in a handshake, crypto/tls on the goroutine of the handshake: Read, Write, LocalAddr, RemoteAddr. The loop calls
//     Feed, Room, EndInput and Abort at the same time. Nothing else is for two goroutines.
//   - on a loop, that loop alone.
//   - on a socket, any goroutine, as for every net.Conn.
//
// The life changes only while no call is under way: the handshake has returned, or the connection is on its way between
// the loop and net/http and nobody uses it. The one that calls the method of the change must be the only user of the
// wire then. Race builds panic if a Read or a Write is under way, and if the step is none of the table; Output.Check
// panics in a method of the loop that another goroutine calls.
//
// A Wire holds no descriptor, but for the net.Conn of its third life, which Close closes.
//
// All bytes in both directions pass Read and Write of this package, in every life: it is the place to look at records
// (to count those written, or to end a Read where a record ends), should somebody need that.
package wire
