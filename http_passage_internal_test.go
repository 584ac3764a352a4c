//go:build linux

package perch

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
)

// traveller is a connection with TLS of a driven loop, whose client is a tls.Conn.
type traveller struct {
	*driven
	peer   *peer
	client *tls.Conn
}

// travel is a driven loop with a way to net/http, and a connection that has its TLS handshake behind it.
func travel(t *testing.T) *traveller {
	ca := wstest.NewAuthority(t)
	cfg := Config{
		TLS:  &tls.Config{Certificates: []tls.Certificate{ca.Issue("perch.test")}},
		HTTP: http.NotFoundHandler(),
	}
	d := drive(t, cfg, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	var err error
	if d.l.http.way, d.l.http.pair, err = openPassage(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sock.Close(d.l.http.pair)
		d.l.http.way.outer.Close()
	})
	fds := pair(t)
	d.srv.connections.Add(1)
	i, s, err := d.l.adopt(fds[0], closing.Accepted, flagIn|tlsFlag(d.srv))
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "client")
	below, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { below.Close() })
	tr := &traveller{
		driven: d,
		peer:   &peer{d: d, fd: -1, slot: i, gen: s.gen.Load()},
		client: tls.Client(below, &tls.Config{RootCAs: ca.Pool, ServerName: "perch.test"}),
	}
	over := make(chan error, 1)
	go func() { over <- tr.client.Handshake() }()
	wstest.Eventually(t, "the handshake is over", func() bool { d.turn(); return tr.peer.state() == stateHandshake })
	if err := wstest.Receive(t, "the client's handshake", over); err != nil {
		t.Fatal(err)
	}
	return tr
}

// leave has the loop pass the socket to net/http, with text in a record that the socket has not taken.
func (tr *traveller) leave(text string) *webConn {
	tr.t.Helper()
	l, i := tr.l, tr.peer.slot
	s := l.slab.at(i)
	conn := l.slab.tls.Get(i)
	if err := l.writeRecords(i, s, conn, []byte(text)); err != nil {
		tr.t.Fatal(err)
	}
	records, out := l.tls.sealed.Drain(), &l.slab.thaw(s).out
	out.KeepRecords(records, &l.bufs)
	l.outgoing.add(len(records))
	tr.srv.web.enter(limit.Address{})
	if e := l.passSocket(i, s, limit.Address{}, nil); e != 0 {
		tr.t.Fatal(e)
	}
	tr.turn()
	fd, from, err := l.http.way.receive()
	if err != nil {
		tr.t.Fatal(err)
	}
	c := tr.srv.web.open(fd, from)
	if c == nil {
		tr.t.Fatal("the connection is lost")
	}
	if n := l.slab.live; n != 0 || l.outgoing.queued != 0 {
		tr.t.Errorf("%d slots in use, %d bytes queued on the loop", n, l.outgoing.queued)
	}
	return c.(*webConn)
}

// back has net/http pass the connection to the loop again, with an upgrade.
func (tr *traveller) back(c *webConn) {
	tr.t.Helper()
	request := wstest.Request("perch.test", "/ws")
	parser := &handshake.Parser{Limits: handshake.Most}
	if _, err := parser.Request(request); err != nil {
		tr.t.Fatal(err)
	}
	route := tr.srv.route(1)
	head := parser.Head(request)
	key, err := route.check(head)
	if err != nil {
		tr.t.Fatal(err)
	}
	t := &takeover{tls: tlsUnder(c)}
	t.upgrading = upgrading{route: route, request: &Request{head: head, fd: -1}, key: string(key)}
	socket, raw, err := socketOf(c)
	if err != nil {
		tr.t.Fatal(err)
	}
	if err := tr.l.enter(raw, post{kind: postTakeover, takeover: t}); err != nil {
		tr.t.Fatal(err)
	}
	c.unlist(false)
	socket.Close()
	tr.turn()
}

// expect has the client read text.
func (tr *traveller) expect(text string) {
	tr.t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(tr.client, b); err != nil || string(b) != text {
		tr.t.Fatalf("the client reads %q, %v; want %q", b, err, text)
	}
}

// What a loop has sealed and not sent goes with the connection, in front of all else, to net/http and back, and once.
func TestPassageUnsent(t *testing.T) {
	tr := travel(t)
	c := tr.leave("unsent, ")
	if _, err := io.WriteString(c, "then this. "); err != nil {
		t.Fatal(err)
	}
	tr.expect("unsent, then this. ")
	tr.back(c)
	tr.expect("HTTP/1.1 101 ")

	tr = travel(t)
	tr.back(tr.leave("unsent, ")) // net/http writes nothing
	tr.expect("unsent, HTTP/1.1 101 ")
	if n := tr.srv.connections.Load(); n != 1 || tr.srv.web.inside.Load() != 0 {
		t.Errorf("%d connections, %d with net/http", n, tr.srv.web.inside.Load())
	}
}

// A loop that is stopping refuses what comes back, behind what was not sent.
func TestPassageRefused(t *testing.T) {
	tr := travel(t)
	c := tr.leave("unsent, ")
	tr.l.life.stopping = true
	tr.back(c)
	tr.expect("unsent, HTTP/1.1 503 ")
	if _, err := io.ReadAll(tr.client); err != nil {
		t.Errorf("the client reads %v, and not close_notify", err)
	}
	if n := tr.srv.connections.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// A connection whose client is gone when it comes back ends, and never opens.
func TestPassageBroken(t *testing.T) {
	tr := travel(t)
	c := tr.leave("unsent")
	tr.client.NetConn().Close()
	tr.back(c)
	tr.turns(2)
	if n := tr.srv.connections.Load(); n != 0 || tr.l.stats.Opened != 0 || tr.l.slab.live != 0 {
		t.Errorf("%d connections, %d were opened, %d slots in use", n, tr.l.stats.Opened, tr.l.slab.live)
	}
}

// A passed socket is closed without a RST, which would end the connection for net/http.
func TestPassageCloses(t *testing.T) {
	tr := travel(t)
	c := tr.leave("")
	defer c.Close()
	if _, err := io.WriteString(c, strings.Repeat("still there", 100)); err != nil {
		t.Error(err)
	}
	tr.expect("still there")
}
