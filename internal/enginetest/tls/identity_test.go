//go:build linux

package tls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/wstest"
)

// Who a client is, by its certificate, is in Request.TLS, for handlers on the loop
// and on workers; one without is refused where one is demanded.
func TestTLSClientCertificate(t *testing.T) {
	who := func(r *perch.Request) string {
		if r.TLS() == nil || len(r.TLS().PeerCertificates) == 0 {
			return "nobody"
		}
		return r.TLS().PeerCertificates[0].Subject.CommonName
	}
	a := wstest.NewAuthority(t)
	cfg := perch.Config{TLS: &tls.Config{
		Certificates: []tls.Certificate{a.Issue("localhost")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool,
	}}
	srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{
			OnUpgrade: func(r *perch.Request) perch.Response { return perch.Response{Value: who(r)} },
			OnOpen:    func(c perch.Conn, r *perch.Request) { c.SendText(fmt.Sprint(c.Value(), " ", who(r))) },
		})
		srv.HandleBlocking("/blocking", perch.BlockingHandler{
			OnOpen: func(c perch.Ref, r *perch.Request) { c.SendText(who(r)) },
		})
	})
	for _, v := range versions {
		client := &tls.Config{RootCAs: a.Pool, ServerName: "localhost", MinVersion: v.id, MaxVersion: v.id}
		if c := wstest.Connect(t, srv.Addr().String()); c.TrySecure(client) == nil { // in 1.3 the client learns it later
			if _, err := c.Next(); err == nil || !strings.Contains(err.Error(), "certificate required") {
				t.Errorf("TLS %s: without a certificate: %v", v.name, err)
			}
		}
		client.Certificates = []tls.Certificate{a.Issue("ada")}
		enginetest.DialTLS(t, srv, client).ExpectText("ada ada")
		wstest.DialTLS(t, srv.Addr().String(), "/blocking", client).ExpectText("ada")
		client.Certificates = []tls.Certificate{wstest.NewAuthority(t).Issue("eve")}
		c := wstest.Connect(t, srv.Addr().String())
		if c.TrySecure(client) == nil {
			if _, err := c.Next(); err == nil {
				t.Errorf("TLS %s: a stranger's certificate is believed", v.name)
			}
		}
	}
}

// A certificate changes under open connections: they stay, new ones get the new.
func TestTLSCertificateSwapped(t *testing.T) {
	clients := 1000
	if owner.Enabled || testing.Short() {
		clients = 100
	}
	old, fresh := wstest.NewAuthority(t), wstest.NewAuthority(t)
	var current atomic.Pointer[tls.Certificate]
	use := func(a *wstest.Authority) { c := a.Issue("localhost"); current.Store(&c) }
	use(old)
	cfg := perch.Config{NewConnectionsPerSecond: -1, TLS: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	}}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	trust := func(a *wstest.Authority) *tls.Config { return &tls.Config{RootCAs: a.Pool, ServerName: "localhost"} }
	var all []*wstest.Conn
	for range clients {
		all = append(all, enginetest.DialTLS(t, srv, trust(old)))
	}
	use(fresh)
	if err := wstest.Connect(t, srv.Addr().String()).TrySecure(trust(old)); err == nil {
		t.Error("the old certificate is still served")
	}
	c := enginetest.DialTLS(t, srv, trust(fresh))
	c.Send(wstest.Text("new"))
	c.ExpectText("new")
	for i, c := range all {
		c.Send(wstest.Text(fmt.Sprint(i)))
	}
	for i, c := range all {
		c.ExpectText(fmt.Sprint(i))
	}
	if s := srv.Stats(); s.Connections < clients+1 || s.Closed != 0 {
		t.Errorf("%d connections, %d closed", s.Connections, s.Closed)
	}
}

// A client of ours verifies whom it speaks to, and says what is wrong.
func TestTLSDial(t *testing.T) {
	srv, client := startSecure(t, perch.Config{}, enginetest.Echo())
	port := netip.MustParseAddrPort(srv.Addr().String()).Port()
	type outcome struct {
		opened bool
		err    error
	}
	dial := func(host string, config *tls.Config) outcome {
		t.Helper()
		got := make(chan outcome, 1)
		opened := false
		err := srv.DialWith(context.Background(), fmt.Sprintf("wss://%s:%d/ws", host, port), perch.DialOptions{TLS: config}, perch.Handler{
			OnOpen: func(c perch.Conn, r *perch.Request) {
				opened = r.TLS() != nil && r.TLS().HandshakeComplete
				c.SendText(strings.Repeat("x", 40000))
			},
			OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
				opened = opened && len(p) == 40000
				c.Close(perch.CloseNormal, "")
			},
			OnClose: func(_ perch.Conn, err *perch.CloseError) { got <- outcome{opened, err} },
		})
		if err != nil {
			t.Fatal(err)
		}
		return wstest.Receive(t, "OnClose", got)
	}
	trusting := &tls.Config{RootCAs: client.RootCAs}
	named := trusting.Clone()
	named.ServerName = "localhost"
	for _, v := range versions {
		config := named.Clone()
		config.MinVersion, config.MaxVersion = v.id, v.id
		if o := dial("127.0.0.1", config); !o.opened {
			t.Errorf("TLS %s, by another name: %v", v.name, o.err)
		}
	}
	if o := dial("127.0.0.1", trusting); !o.opened {
		t.Errorf("by the URL's name: %v", o.err)
	}
	var unknown x509.UnknownAuthorityError
	if o := dial("127.0.0.1", nil); o.opened || !errors.Is(o.err, perch.ErrDial) || !errors.As(o.err, &unknown) {
		t.Errorf("the system's roots: %v", o.err)
	}
	var wrong x509.HostnameError
	stranger := trusting.Clone()
	stranger.ServerName = "other.test"
	if o := dial("127.0.0.1", stranger); o.opened || !errors.Is(o.err, perch.ErrDial) || !errors.As(o.err, &wrong) {
		t.Errorf("a wrong name: %v", o.err)
	}
	plain := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	port = netip.MustParseAddrPort(plain.Addr().String()).Port()
	var record tls.RecordHeaderError
	if o := dial("127.0.0.1", trusting); o.opened || !errors.Is(o.err, perch.ErrDial) || !errors.As(o.err, &record) {
		t.Errorf("no TLS there: %v", o.err)
	}
	enginetest.AwaitStats(t, srv, "nothing is left", func(s *perch.Stats) bool { return s.Connections == 0 && s.TLSRunning == 0 })
}

// A PROXY header comes before TLS, in one segment with it or in pieces, and tells
// whom limits are for.
func TestTLSBehindProxy(t *testing.T) {
	h := enginetest.Echo()
	h.OnOpen = func(c perch.Conn, r *perch.Request) { c.SendText(r.PeerAddr().String()) }
	cfg := perch.Config{ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxConnectionsPerIP: 1}
	eachVersion(t, cfg, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
		header := func(n int) []byte { return fmt.Appendf(nil, "PROXY TCP4 192.0.2.%d 198.51.100.1 5678 443\r\n", n) }
		n := 0
		for _, cut := range []wstest.Cutter{{}, {Bytewise: true}} {
			n++
			c := wstest.Connect(t, srv.Addr().String())
			cut.First = header(n)
			c.SecureBy(&cut, client)
			c.Write(wstest.Request("a", "/ws"))
			c.ExpectUpgraded()
			c.ExpectText(fmt.Sprintf("192.0.2.%d:5678", n))
			c.Send(wstest.Text("hello"))
			c.ExpectText("hello")
			again := wstest.Connect(t, srv.Addr().String())
			again.SecureBy(&wstest.Cutter{First: header(n), Bytewise: cut.Bytewise}, client)
			if r := again.ReadResponse(); r.Status != 429 {
				t.Errorf("over the limit of its address: %d", r.Status)
			}
		}
	})
}
