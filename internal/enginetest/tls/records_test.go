//go:build linux

package tls_test

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// dialThrough is enginetest.DialTLS with a Cutter below.
func dialThrough(t testing.TB, srv *perch.Server, client *tls.Config) (*wstest.Conn, *wstest.Cutter) {
	t.Helper()
	c := wstest.Connect(t, srv.Addr().String())
	cut := c.SecureThrough(client)
	c.Write(wstest.Request(srv.Addr().String(), "/ws"))
	c.ExpectUpgraded()
	return c, cut
}

// Records may come in any pieces, and one byte at a time, those of the handshake
// too.
func TestTLSCutRecords(t *testing.T) {
	eachVersion(t, perch.Config{}, enginetest.Echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := wstest.Connect(t, srv.Addr().String())
		c.SecureBy(&wstest.Cutter{Bytewise: true}, client)
		c.Write(wstest.Request("a", "/ws"))
		c.ExpectUpgraded()
		c.Send(wstest.Text("hello"), wstest.Text(strings.Repeat("x", 300)))
		c.ExpectText("hello")
		c.ExpectText(strings.Repeat("x", 300))
		c.Send(wstest.Frame{Op: frame.OpPing, Payload: []byte("there?")})
		c.ExpectPong("there?")
		c.CloseHandshake(perch.CloseNormal)
	})
}

// What is in the segment of the client's Finished was read with it: no event
// tells of it.
func TestTLSBehindFinished(t *testing.T) {
	eachVersion(t, perch.Config{}, enginetest.Echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		if client.MinVersion == tls.VersionTLS12 {
			return // the client of TLS 1.2 waits for our Finished: there is nothing behind its own
		}
		c := wstest.Connect(t, srv.Addr().String())
		cut := c.SecureBy(&wstest.Cutter{HoldAfter: 1}, client) // ClientHello
		c.Write(append(wstest.Request("a", "/ws"), c.Encode(wstest.Text("first"), wstest.Text("second"))...))
		if _, err := c.TCP().Write(cut.Release()); err != nil {
			t.Fatal(err)
		}
		c.ExpectUpgraded()
		c.ExpectText("first")
		c.ExpectText("second")
	})
}

// Large messages, as large as the limit, there and back; in records of any size.
func TestTLSLargeMessages(t *testing.T) {
	const most = 1 << 20
	eachVersion(t, perch.Config{MaxMessageSize: most, MaxOutput: 4 * most, Rate: enginetest.Unlimited}, enginetest.Echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := enginetest.DialTLS(t, srv, client)
		for _, size := range []int{0, 1, 125, 126, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64 << 10, 100_000, most} {
			p := []byte(strings.Repeat("perch", size/5+1)[:size])
			go c.TrySend(wstest.Binary(p))
			c.Expect(perch.Binary, p)
		}
		c.Send(wstest.Frame{Op: frame.OpBinary, Claim: most + 1})
		c.ExpectClose(frame.CloseMessageTooBig)
	})
}

// Keys change as often as the client likes, and with each answer ours; who does
// nothing else is cut off (RFC 8446 §4.6.3).
func TestTLSKeyUpdate(t *testing.T) {
	srv, client := startSecure(t, perch.Config{}, enginetest.Echo())
	c := wstest.Connect(t, srv.Addr().String())
	r := c.SecureRecords(client)
	send := func(b []byte) {
		t.Helper()
		if _, err := c.TCP().Write(b); err != nil {
			t.Fatal(err)
		}
	}
	send(r.Seal(wstest.RecordApplication, wstest.Request("a", "/ws")))
	c.ExpectUpgraded()
	for n := range 100 {
		b := r.KeyUpdate(n%2 == 0)
		b = append(b, r.Seal(wstest.RecordApplication, c.Encode(wstest.Text("hello")))...)
		if n%10 == 0 {
			for i := range b {
				send(b[i : i+1])
			}
		} else {
			send(b)
		}
		c.ExpectText("hello")
	}
	before := srv.Stats()
	var flood []byte
	for range 10_000 {
		flood = append(flood, r.KeyUpdate(true)...)
	}
	c.TCP().Write(flood) // it may be reset meanwhile
	s := enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	if sent := s.BytesSent - before.BytesSent; sent > 4096 {
		t.Errorf("%d bytes of answers to nothing but KeyUpdate", sent)
	}
	if s.ProtocolErrors != before.ProtocolErrors+1 || s.QueuedBytes != 0 {
		t.Errorf("%d protocol errors, %d bytes queued", s.ProtocolErrors, s.QueuedBytes)
	}
}

// Each record of KeyUpdate that is of some use, with a ping between, is answered;
// a client that takes none of the answers is given up.
func TestTLSKeyUpdateNotRead(t *testing.T) {
	closed := make(chan *perch.CloseError, 1)
	h := enginetest.Echo()
	h.OnClose = func(_ perch.Conn, err *perch.CloseError) { closed <- err }
	// The socket is full from the beginning, and far from the limit at which reading stops.
	const message = 8 << 20
	h.OnOpen = func(c perch.Conn, _ *perch.Request) {
		c.SendPrepared(perch.Prepare(perch.Binary, make([]byte, message)))
	}
	srv, client := startSecure(t, perch.Config{Rate: enginetest.Unlimited, MaxOutput: 4 * message}, h)
	c := wstest.ConnectNarrow(t, srv.Addr().String())
	r := c.SecureRecords(client)
	c.TCP().Write(r.Seal(wstest.RecordApplication, wstest.Request("a", "/ws")))
	c.ExpectUpgraded()
	pong := c.Encode(wstest.Frame{Op: frame.OpPong})
	for {
		var b []byte
		for range 100 {
			b = append(append(b, r.KeyUpdate(true)...), r.Seal(wstest.RecordApplication, pong)...)
		}
		c.TCP().SetWriteDeadline(time.Now().Add(c.Timeout))
		if _, err := c.TCP().Write(b); err != nil {
			break
		}
	}
	if err := wstest.Receive(t, "OnClose", closed); !errors.Is(err, perch.ErrSlowConsumer) {
		t.Errorf("closed with %v", err)
	}
	enginetest.AwaitStats(t, srv, "nothing is queued", func(s *perch.Stats) bool { return s.QueuedBytes == 0 })
}

// Records that cannot be opened end the connection with an alert, and an end
// without close_notify is abnormal.
func TestTLSBrokenRecords(t *testing.T) {
	closed := make(chan *perch.CloseError, 1)
	h := enginetest.Echo()
	h.OnClose = func(_ perch.Conn, err *perch.CloseError) { closed <- err }
	eachVersion(t, perch.Config{}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
		abnormal := func(what string) {
			t.Helper()
			if err := wstest.Receive(t, what, closed); err.Code != frame.CloseAbnormal || !err.Remote || err.Err == nil {
				t.Errorf("%s: closed with %v", what, err)
			}
		}
		c, cut := dialThrough(t, srv, client)
		c.Send(wstest.Text("whole"))
		c.ExpectText("whole")
		cut.Hold()
		c.Send(wstest.Text("broken"))
		b := cut.Release()
		b[len(b)-1] ^= 1
		c.TCP().Write(b)
		if _, err := c.Next(); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client reads %v", err)
		}
		c.Close()
		abnormal("a forged record")
		c, _ = dialThrough(t, srv, client)
		c.TCP().CloseWrite()
		c.ExpectEOF()
		abnormal("FIN without close_notify")
		c, cut = dialThrough(t, srv, client)
		cut.Hold()
		c.Send(wstest.Text("cut"))
		c.TCP().Write(cut.Release()[:9])
		c.TCP().CloseWrite()
		abnormal("FIN within a record")
		c, _ = dialThrough(t, srv, client)
		c.Reset()
		abnormal("RST")
		c, cut = dialThrough(t, srv, client)
		c.NotifyClose() // and no FIN: TCP stays open
		c.ExpectEOF()
		if !cut.Notified() {
			t.Error("no close_notify in answer to one")
		}
		abnormal("close_notify alone")
		// Behind a whole message: it is answered first.
		c, cut = dialThrough(t, srv, client)
		cut.Hold()
		c.Send(wstest.Text("last"))
		c.NotifyClose()
		c.TCP().SetWriteDeadline(time.Time{}) // crypto/tls has set one
		c.TCP().Write(cut.Release())
		c.ExpectText("last")
		c.ExpectEOF()
		abnormal("close_notify behind a message")
	})
}

// close_notify is our last record wherever we end in order (RFC 8446 §6.1).
func TestTLSCloseNotify(t *testing.T) {
	h := enginetest.Echo()
	h.MaxMessageSize = 100
	h.OnUpgrade = func(r *perch.Request) perch.Response {
		if r.Query("no") != "" {
			return perch.Reject(403, "no")
		}
		return perch.Response{}
	}
	h.OnMessage = func(c perch.Conn, op perch.Opcode, p []byte) {
		switch string(p) {
		case "close":
			c.Close(perch.CloseNormal, "bye")
		case "panic":
			panic("handler")
		}
	}
	eachVersion(t, perch.Config{CloseTimeout: 5 * time.Second}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
		for _, tc := range []struct {
			name string
			end  func(c *wstest.Conn)
		}{
			{"close by the client", func(c *wstest.Conn) { c.CloseHandshake(perch.CloseNormal) }},
			{"close by us", func(c *wstest.Conn) {
				c.Send(wstest.Text("close"))
				c.ExpectClose(perch.CloseNormal)
				c.Send(wstest.Close(perch.CloseNormal, ""))
			}},
			{"protocol error", func(c *wstest.Conn) {
				c.Send(wstest.Frame{Op: 3})
				c.ExpectClose(frame.CloseProtocolError)
			}},
			{"too large", func(c *wstest.Conn) {
				c.Send(wstest.Text(strings.Repeat("x", 101)))
				c.ExpectClose(frame.CloseMessageTooBig)
			}},
			{"panic", func(c *wstest.Conn) {
				c.Send(wstest.Text("panic"))
				c.ExpectClose(perch.CloseInternalError)
			}},
		} {
			c, cut := dialThrough(t, srv, client)
			tc.end(c)
			c.ExpectEOF()
			if !cut.Notified() {
				t.Errorf("%s: no close_notify", tc.name)
			}
			c.Close()
		}
		for _, target := range []string{"/ws?no=1", "/none"} {
			c := wstest.Connect(t, srv.Addr().String())
			cut := c.SecureThrough(client)
			c.Write(wstest.Request("a", target))
			c.ReadResponse()
			c.ExpectEOF()
			if !cut.Notified() {
				t.Errorf("%s refused: no close_notify", target)
			}
			c.Close()
		}
		if s := enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 }); s.CloseTimeouts != 0 {
			t.Errorf("%d close timeouts", s.CloseTimeouts)
		}
	})
}
