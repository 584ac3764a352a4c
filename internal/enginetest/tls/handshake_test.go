//go:build linux

package tls_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// No more handshakes run at once than may, those that wait are served when it is
// their turn, and who is connected does not notice.
func TestTLSHandshakeFlood(t *testing.T) {
	const most, clients = 4, 100
	cfg, client := enginetest.Secured(t, perch.Config{MaxTLSHandshakes: most, NewConnectionsPerSecond: -1, MaxConnectionsPerIP: -1})
	certificate := cfg.TLS.Certificates[0]
	var running, peak atomic.Int64
	gate := make(chan struct{})
	cfg.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		if h.ServerName == "localhost" {
			<-gate
		}
		return &certificate, nil
	}}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	other := client.Clone()
	other.ServerName, other.InsecureSkipVerify = "other.test", true
	open := enginetest.DialTLS(t, srv, other)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			c := wstest.Connect(t, srv.Addr().String())
			if err := c.TrySecure(client); err != nil {
				t.Errorf("handshake: %v", err)
				return
			}
			if err := c.TryWrite(wstest.Request("a", "/ws")); err != nil {
				t.Errorf("request: %v", err)
			} else if r, err := c.TryReadResponse(); err != nil || r.Status != 101 {
				t.Errorf("answered %v, %v", r, err)
			}
		})
	}
	enginetest.AwaitStats(t, srv, "the others wait", func(s *perch.Stats) bool { return s.TLSRunning == most && s.TLSWaiting == clients-most })
	for range 100 {
		open.Send(wstest.Text("meanwhile"))
		open.ExpectText("meanwhile")
	}
	close(gate)
	all.Wait()
	s := enginetest.AwaitStats(t, srv, "all are over", func(s *perch.Stats) bool { return s.TLSRunning == 0 })
	if s.TLSPeak != most || peak.Load() > most || s.TLSHandshakes != clients+1 || s.TLSWaiting != 0 || s.TLSFailed != 0 {
		t.Errorf("at most %d ran (%d by our count), %d done, %d wait, %d failed", s.TLSPeak, peak.Load(), s.TLSHandshakes, s.TLSWaiting, s.TLSFailed)
	}
}

// Who does not get a turn in time, does not say a word, or says them a byte at a
// time, is gone after HandshakeTimeout, and takes nobody's turn.
func TestTLSHandshakeTimeouts(t *testing.T) {
	const timeout = 300 * time.Millisecond
	cfg, client := enginetest.Secured(t, perch.Config{MaxTLSHandshakes: 1, HandshakeTimeout: timeout})
	certificate := cfg.TLS.Certificates[0]
	entered, gate := make(chan struct{}, 10), make(chan struct{})
	cfg.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		entered <- struct{}{}
		<-gate
		return &certificate, nil
	}}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	connect := func() *wstest.Conn { return wstest.Connect(t, srv.Addr().String()) }
	begun := time.Now()
	silent, slow := connect(), connect()
	slow.Write([]byte{22, 3})
	if n := srv.Stats().TLSRunning; n != 0 {
		t.Errorf("%d handshakes run for nothing", n)
	}
	failed := make(chan error, 3)
	for range 3 {
		c := connect()
		go func() { failed <- c.TrySecure(client) }()
	}
	wstest.Receive(t, "a turn", entered)
	enginetest.AwaitStats(t, srv, "the others wait", func(s *perch.Stats) bool { return s.TLSWaiting == 2 })
	for range 3 {
		if err := wstest.Receive(t, "the end", failed); err == nil {
			t.Error("a handshake without a certificate")
		}
	}
	silent.ExpectGone()
	slow.ExpectGone()
	if d := time.Since(begun); d < timeout {
		t.Errorf("after %v", d)
	}
	close(gate)
	s := enginetest.AwaitStats(t, srv, "nothing is left", func(s *perch.Stats) bool {
		return s.Connections == 0 && s.TLSRunning == 0 && s.TLSWaiting == 0
	})
	if s.HandshakeTimeouts != 5 || s.TLSFailed != 5 || s.TLSHandshakes != 0 {
		t.Errorf("%d timeouts, %d failed, %d done", s.HandshakeTimeouts, s.TLSFailed, s.TLSHandshakes)
	}
	c := enginetest.DialTLS(t, srv, client) // the turn is free again
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
}

// HandshakeTimeout is from accept to the end of the head, TLS or not.
func TestTLSSlowHead(t *testing.T) {
	srv, client := startSecure(t, perch.Config{HandshakeTimeout: 200 * time.Millisecond}, enginetest.Echo())
	c := connectTLS(t, srv, client)
	c.Write([]byte("GET /ws HTTP/1.1\r\n"))
	if r := c.ReadResponse(); r.Status != 408 {
		t.Errorf("answered %d", r.Status)
	}
}

// A handshake that fails says why with an alert, and the connection ends.
func TestTLSHandshakeFails(t *testing.T) {
	log := new(enginetest.Journal)
	srv, client := startSecure(t, perch.Config{Logger: log.Logger()}, enginetest.Echo())
	for _, tc := range []struct {
		name   string
		change func(c *tls.Config)
		want   string
	}{
		{"TLS 1.0", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }, "protocol version"},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "protocol version"},
		{"no cipher in common", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}, "handshake failure"},
		{"HTTP/2 alone", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, "no application protocol"},
		{"a stranger's certificate", func(c *tls.Config) { c.RootCAs = wstest.NewAuthority(t).Pool }, "unknown authority"},
	} {
		config := client.Clone()
		tc.change(config)
		c := wstest.Connect(t, srv.Addr().String())
		if err := c.TrySecure(config); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if s := enginetest.AwaitStats(t, srv, "all are counted", func(s *perch.Stats) bool { return s.TLSFailed == 5 }); s.Opened != 0 {
		t.Errorf("%d opened", s.Opened)
	}
	for _, r := range log.Find("upgrade refused") {
		if enginetest.Attr(r, "kind") != "tls" || !strings.HasPrefix(enginetest.Attr(r, "remote"), "127.0.0.1") || !strings.Contains(enginetest.Attr(r, "reason"), "tls") {
			t.Errorf("a failure is logged with kind %q, remote %q, reason %q", enginetest.Attr(r, "kind"), enginetest.Attr(r, "remote"), enginetest.Attr(r, "reason"))
		}
	}
	if n := len(log.Find("upgrade refused")); n != 5 {
		t.Errorf("%d failures logged", n)
	}
}

// Of the protocols that a client offers http/1.1 is chosen, by a configuration of
// GetConfigForClient too, whatever it says.
func TestTLSProtocol(t *testing.T) {
	cfg, client := enginetest.Secured(t, perch.Config{})
	chosen := &tls.Config{Certificates: cfg.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS10}
	cfg.TLS.NextProtos = []string{"h2", "http/1.1"}
	cfg.TLS.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		switch h.ServerName {
		case "chosen.test":
			return chosen, nil
		case "refused.test":
			return nil, errors.New("not here")
		}
		return nil, nil
	}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	client.NextProtos, client.InsecureSkipVerify = []string{"h2", "http/1.1"}, true
	for _, name := range []string{"localhost", "chosen.test"} {
		client.ServerName = name
		if p := enginetest.DialTLS(t, srv, client).TLS().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("%s: %q", name, p)
		}
		old := client.Clone()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if err := wstest.Connect(t, srv.Addr().String()).TrySecure(old); err == nil {
			t.Errorf("%s: TLS 1.1 is served", name)
		}
	}
	client.ServerName = "refused.test"
	if err := wstest.Connect(t, srv.Addr().String()).TrySecure(client); err == nil {
		t.Error("GetConfigForClient's error is none")
	}
}

// A callback of the configuration that panics costs its own connection.
func TestTLSCallbackPanics(t *testing.T) {
	log := new(enginetest.Journal)
	cfg, client := enginetest.Secured(t, perch.Config{Logger: log.Logger(), MaxTLSHandshakes: 1})
	cfg.TLS.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if h.ServerName != "localhost" {
			panic("GetConfigForClient")
		}
		return nil, nil
	}
	srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
	other := client.Clone()
	other.ServerName = "other.test"
	for range 3 {
		if err := wstest.Connect(t, srv.Addr().String()).TrySecure(other); err == nil {
			t.Error("a handshake without an answer")
		}
	}
	c := enginetest.DialTLS(t, srv, client)
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	if n := len(log.Find("panicked")); n != 3 || srv.Stats().TLSFailed != 3 {
		t.Errorf("%d panics logged, %d failed", n, srv.Stats().TLSFailed)
	}
}

// RST and shutdown find a connection at any point of its handshake.
func TestTLSHandshakeBrokenOff(t *testing.T) {
	for _, end := range []string{"reset", "FIN", "shutdown", "close"} {
		t.Run(end, func(t *testing.T) {
			cfg, client := enginetest.Secured(t, perch.Config{MaxTLSHandshakes: 1})
			certificate := cfg.TLS.Certificates[0]
			entered, gate := make(chan struct{}, 10), make(chan struct{})
			cfg.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				entered <- struct{}{}
				<-gate
				return &certificate, nil
			}}
			srv := enginetest.StartRoute(t, cfg, enginetest.Echo())
			var all []*wstest.Conn
			connect := func(b []byte) {
				c := wstest.Connect(t, srv.Addr().String())
				c.Write(b)
				all = append(all, c)
			}
			connect(nil)
			connect([]byte{22})
			var done sync.WaitGroup
			defer done.Wait()
			for range 3 { // one whose turn it is, two that wait
				c := wstest.Connect(t, srv.Addr().String())
				all = append(all, c)
				done.Go(func() { c.TrySecure(client) })
			}
			wstest.Receive(t, "a turn", entered)
			enginetest.AwaitStats(t, srv, "the others wait", func(s *perch.Stats) bool { return s.TLSWaiting == 2 && s.Connections == 5 })
			switch end {
			case "reset", "FIN":
				for _, c := range all {
					if end == "FIN" {
						c.TCP().CloseWrite()
					} else {
						c.Reset()
					}
				}
				time.AfterFunc(50*time.Millisecond, func() { close(gate) })
			case "shutdown":
				close(gate)
				enginetest.ExpectShutdown(t, srv, enginetest.Shutdown(t, srv))
			case "close":
				time.AfterFunc(50*time.Millisecond, func() { close(gate) })
				srv.Close()
			}
			for _, c := range all {
				c.Close()
			}
			enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.TLSRunning == 0 && s.TLSWaiting == 0 })
		})
	}
}

// What cannot serve is refused by Start.
func TestTLSConfigErrors(t *testing.T) {
	certificate := wstest.NewAuthority(t).Issue("localhost")
	for _, tc := range []struct {
		config *tls.Config
		most   int
		want   string
	}{
		{&tls.Config{}, 0, "Certificates"},
		{&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10}, 0, "below 1.2"},
		{&tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: tls.VersionTLS11}, 0, "below 1.2"},
		{&tls.Config{Certificates: []tls.Certificate{certificate}}, -2, "MaxTLSHandshakes"},
	} {
		srv := perch.New(perch.Config{Addr: "127.0.0.1:0", TLS: tc.config, MaxTLSHandshakes: tc.most})
		if err := srv.Start(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("want %q: %v", tc.want, err)
			srv.Close()
		}
	}
}

// Over a limit a client is told so in the language it speaks, once its handshake
// is over; but a flood of them is reset.
func TestTLSLimits(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	enginetest.LimitDescriptors(t, 400) // 32 may be held then
	t.Run("MaxConnections", func(t *testing.T) {
		srv, client := startSecure(t, perch.Config{MaxConnections: 1}, enginetest.Echo())
		open := enginetest.DialTLS(t, srv, client)
		for range 3 {
			c := connectTLS(t, srv, client)
			if r := c.ReadResponse(); r.Status != 503 || r.Header("Retry-After") == "" {
				t.Errorf("answered %d", r.Status)
			}
			c.Close()
		}
		reset := 0
		var flood []net.Conn
		for range 60 { // none of which says a word
			c, err := net.Dial("tcp", srv.Addr().String())
			if err != nil {
				reset++
				continue
			}
			defer c.Close()
			flood = append(flood, c)
		}
		for _, c := range flood {
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := io.ReadAll(c); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				reset++
			}
		}
		if reset < 20 || reset > 40 {
			t.Errorf("%d of 60 are reset", reset)
		}
		open.Send(wstest.Text("hello"))
		open.ExpectText("hello")
	})
	t.Run("NewConnectionsPerSecond", func(t *testing.T) {
		srv, client := startSecure(t, perch.Config{NewConnectionsPerSecond: 2}, enginetest.Echo())
		told, reset := 0, 0
		for range 12 {
			c, err := tls.Dial("tcp", srv.Addr().String(), client)
			if err != nil {
				reset++
				continue
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(wstest.DefaultTimeout))
			c.Write(wstest.Request("localhost", "/ws"))
			switch line, err := bufio.NewReader(c).ReadString('\n'); {
			case strings.HasPrefix(line, "HTTP/1.1 503 "):
				told++
			case !strings.HasPrefix(line, "HTTP/1.1 101 "):
				t.Errorf("answered %q, %v", line, err)
			}
		}
		if s := srv.Stats(); told == 0 || s.Refused != uint64(told+reset) || s.TLSFailed != 0 {
			t.Errorf("%d told, %d reset, %d refused by the counter, %d failed", told, reset, s.Refused, s.TLSFailed)
		}
	})
}

// Peers that stall in their handshakes do not keep their turns while others wait.
func TestTLSStall(t *testing.T) {
	log := new(enginetest.Journal)
	srv, client := startSecure(t, perch.Config{MaxTLSHandshakes: 2, HandshakeTimeout: time.Minute, Logger: log.Logger()}, enginetest.Echo())
	const many = 8
	for range many {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(enginetest.ClientHello(t))
	}
	enginetest.AwaitStats(t, srv, "they stall", func(s *perch.Stats) bool { return s.TLSRunning == 2 })
	c := enginetest.DialTLS(t, srv, client) // it waits behind all of them, of the same address
	c.Send(wstest.Text("in"))
	c.ExpectText("in")
	s := enginetest.AwaitStats(t, srv, "the last have their turns", func(s *perch.Stats) bool { return s.TLSWaiting == 0 })
	if s.TLSHandshakes != 1 || s.TLSRunning > 2 || s.HandshakeTimeouts < many-2 {
		t.Errorf("%d done, %d run, %d timed out", s.TLSHandshakes, s.TLSRunning, s.HandshakeTimeouts)
	}
	if s.Refusals[perch.RefusedTimeout] != s.HandshakeTimeouts || len(log.Find("upgrade refused")) == 0 {
		t.Errorf("%d of %d are counted as refused, %d lines", s.Refusals[perch.RefusedTimeout], s.HandshakeTimeouts, len(log.Find("upgrade refused")))
	}
}
