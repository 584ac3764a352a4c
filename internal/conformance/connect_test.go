package conformance

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// engine is the configuration that a case is for.
func (c *testCase) engine() perch.Compression {
	if c.terms == nil {
		return perch.Compression{}
	}
	return c.terms.engine
}

// dialed plays the client to the server at addr.
func dialed(t testing.TB, c testCase, addr string) *peer {
	return introduced(t, c, func(headers ...string) *wstest.Conn { return wstest.Dial(t, addr, "/ws", headers...) })
}

// introduced plays the client on a connection that dial opens.
func introduced(t testing.TB, c testCase, dial func(headers ...string) *wstest.Conn) *peer {
	if c.terms == nil {
		return &peer{t: t, c: dial()}
	}
	p := &peer{t: t, c: dial(extensions + ": " + c.terms.offer)}
	answer := p.c.Header(extensions)
	p.saw("%s", answer)
	p.agree(asClient, c.terms, c.terms.offer, answer)
	return p
}

// accepted plays the server to the client that comes next.
func accepted(t testing.TB, c testCase, ln *net.TCPListener) *peer {
	if c.terms == nil {
		return &peer{t: t, c: wstest.AcceptConn(t, ln)}
	}
	p := &peer{t: t, c: wstest.AcceptRaw(t, ln)}
	key := p.c.ReadRequest("Sec-WebSocket-Key")
	offer := p.c.Header(extensions)
	answer, err := c.terms.answer(offer)
	if err != nil {
		t.Fatal(err)
	}
	p.saw("%s", offer)
	p.agree(asServer, c.terms, offer, answer)
	p.raw(wstest.Switching(key, extensions+": "+answer))
	return p
}

func (p *peer) agree(r role, m *terms, offer, answer string) {
	p.t.Helper()
	z, err := agree(r, offer, answer)
	if err != nil {
		p.mismatch(err.Error(), "an agreement")
	}
	p.z = z
	switch z.threshold = m.engine.Threshold; z.threshold {
	case 0:
		if z.threshold = threshold; z.in.takeover {
			z.threshold = keptThreshold
		}
	case -1:
		z.threshold = 1
	}
}

// servers are the targets that the tester is a client of: each starts a server with
// this configuration that echoes at /ws, and returns its address.
var servers = map[string]func(t *testing.T, z perch.Compression) (addr string){
	"engine": func(t *testing.T, z perch.Compression) string {
		return engine(t, "127.0.0.1:0", z).Addr().String()
	},
	"takeover": func(t *testing.T, z perch.Compression) string {
		return foreign(t, engine(t, "127.0.0.1:0", z))
	},
}

// eachServer runs a test once for each of them.
func eachServer(t *testing.T, test func(t *testing.T, start func(t *testing.T, z perch.Compression) string)) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) { test(t, start) })
	}
}

// TestServer plays the client to our server.
func TestServer(t *testing.T) {
	eachServer(t, func(t *testing.T, start func(t *testing.T, z perch.Compression) string) {
		runAll(t, asClient, "testdata/server.golden", func(t *testing.T, z perch.Compression) func(testing.TB, testCase) *peer {
			addr := start(t, z)
			return func(t testing.TB, c testCase) *peer { return dialed(t, c, addr) }
		})
	})
}

// TestServerTLS plays the client to our server over TLS. Cases that move megabytes
// are left out: they would tell nothing new of the protocol.
func TestServerTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			a := wstest.NewAuthority(t)
			config := &tls.Config{Certificates: []tls.Certificate{a.Issue("localhost")}}
			client := &tls.Config{RootCAs: a.Pool, ServerName: "localhost", MinVersion: version, MaxVersion: version}
			cases := slices.DeleteFunc(playedBy(asClient, table()), large)
			runCases(t, openGolden(t, "testdata/server.golden"), cases, func(t *testing.T, z perch.Compression) func(testing.TB, testCase) *peer {
				addr := engineTLS(t, "127.0.0.1:0", z, config).Addr().String()
				return func(t testing.TB, c testCase) *peer {
					return introduced(t, c, func(headers ...string) *wstest.Conn { return wstest.DialTLS(t, addr, "/ws", client, headers...) })
				}
			})
		})
	}
}

// TestClient plays the server to a client of ours, which echoes.
func TestClient(t *testing.T) {
	runAll(t, asServer, "testdata/client.golden", func(t *testing.T, z perch.Compression) func(testing.TB, testCase) *peer {
		srv := engine(t, noListener, z)
		return func(t testing.TB, c testCase) *peer {
			ln := wstest.Listen(t)
			if err := srv.Dial(context.Background(), "ws://"+ln.Addr().String()+"/", echo()); err != nil {
				t.Fatal(err)
			}
			return accepted(t, c, ln)
		}
	})
}
