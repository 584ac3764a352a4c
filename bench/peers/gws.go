package main

import (
	"bufio"
	"net"
	"net/http"

	"github.com/klauspost/compress/flate"
	"github.com/lxzan/gws"
)

// serveGWS: gws's own server (not net/http), messages handled one after the other
// (ParallelEnabled would answer out of order), reading in a new goroutine, as its
// documentation says, so that the request is not kept.
func serveGWS(ln net.Listener, o options) error {
	option := func() *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize:  maxMessage,
			WriteMaxPayloadSize: maxMessage,
			HandshakeTimeout:    handshakeTime,
			PermessageDeflate:   gws.PermessageDeflate{Enabled: o.deflate, Level: flate.BestSpeed, Threshold: o.threshold},
		}
	}
	srv := gws.NewServer(gwsEcho{}, option())
	members := newRoom(func(c *gws.Conn) { c.NetConn().Close() })
	fan := gws.NewUpgrader(&gwsFan{members: members}, option())
	srv.OnError = func(net.Conn, error) {}
	srv.OnRequest = func(conn net.Conn, br *bufio.Reader, r *http.Request) {
		up := srv.GetUpgrader()
		switch r.URL.Path {
		case "/ws":
		case "/fan":
			up = fan
		default:
			_, _ = conn.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			conn.Close()
			return
		}
		if c, err := up.UpgradeFromConn(conn, br, r); err == nil {
			go c.ReadLoop()
		}
	}
	return srv.RunListener(ln)
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	_ = c.WriteMessage(m.Opcode, m.Bytes())
	m.Close()
}

type gwsFan struct {
	gwsEcho
	members *room[*gws.Conn]
}

func (f *gwsFan) OnOpen(c *gws.Conn)           { f.members.join(c) }
func (f *gwsFan) OnClose(c *gws.Conn, _ error) { f.members.leave(c) }

func (f *gwsFan) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Opcode != gws.OpcodeText {
		return
	}
	f.members.publish(func(to *gws.Conn) error { return to.WriteMessage(m.Opcode, m.Bytes()) })
}
