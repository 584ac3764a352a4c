// Package wstest is a WebSocket peer made of raw bytes, for tests.
//
// A [Conn] plays either side over a real TCP connection and can break every
// rule of RFC 6455: wrong mask, reserved bits, lying lengths, frames cut
// anywhere. It holds the peer to the rules: [Conn.Next] refuses a frame
// that the peer should not have sent. It decodes with code of its own, not with
// package frame, so that a fault there cannot hide itself.
//
//	func TestEcho(t *testing.T) {
//		c := wstest.Dial(t, addr, "/ws")            // TCP and upgrade
//		c.Send(wstest.Text("hello"))                // one masked frame
//		c.Chop(1, wstest.Text("byte by byte"))      // one write per byte
//		c.ExpectText("hello")
//		c.ExpectText("byte by byte")
//		c.Send(wstest.Frame{Op: frame.OpText, Rsv: 4})
//		c.ExpectFail(frame.CloseProtocolError)      // close frame, then EOF, no RST
//	}
//
// Methods that return no error end the test when they fail: call them from the
// goroutine of the test. [Conn.Next], [Conn.TrySend] and [Conn.TryWrite] return
// their error and may be called from any goroutine, one that reads and one that
// writes at a time.
//
// No call waits for ever: each read and write has the deadline of
// [Conn.Timeout]. [Dial], [AcceptConn] and the others close what they open when the
// test ends.
//
// [Main] is the TestMain of a package whose tests must leave no goroutine and no
// descriptor behind.
package wstest
