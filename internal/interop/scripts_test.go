//go:build linux

package interop

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch"
)

// script is a peer that is a script for an interpreter: testdata/client.* and testdata/server.*.
type script struct {
	interpreter string
	env         []string
	ext         string
}

func (s script) start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	return start(t, nil, s.env, s.interpreter, append([]string{filepath.Join("testdata", name+s.ext)}, args...)...)
}

// scripts finds the interpreter and the library of each.
var scripts = map[string]func(t *testing.T) script{
	"python websockets": func(t *testing.T) script {
		return script{interpreter: needPython(t), env: []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1"}, ext: ".py"}
	},
	"node ws": func(t *testing.T) script {
		node, path := needNode(t)
		return script{interpreter: node, env: []string{"NODE_PATH=" + path}, ext: ".js"}
	},
}

// TestScriptClients runs the peers' clients against our server: both libraries offer
// permessage-deflate and subprotocols, and get them; without contexts that live on, and with them.
func TestScriptClients(t *testing.T) {
	for name, find := range scripts {
		t.Run(name, func(t *testing.T) {
			s := find(t)
			for _, c := range []perch.Compression{{}, takeover} {
				e := startEngineWith(t, c)
				s.start(t, "client", "echo", e.url).succeed()
				e.sawClose(t, byeCode, byeReason)
				e.sawOwnClose(t)
				checkDeflated(t, e.Server)
			}
		})
	}
}

// TestScriptClientsIdle leaves the peers' clients alone until they have answered a ping of ours,
// and then goes away.
func TestScriptClientsIdle(t *testing.T) {
	for name, find := range scripts {
		t.Run(name, func(t *testing.T) {
			s := find(t)
			e := startEngine(t)
			p := s.start(t, "client", "idle", e.url)
			if rtt := receive(t, e.pongs, "pong"); rtt <= 0 || rtt > patience {
				t.Errorf("round trip of %v", rtt)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := e.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			p.succeed()
		})
	}
}

// TestScriptServers runs our client against the peers' servers, which agree to permessage-deflate: without contexts
// that live on, and with them.
func TestScriptServers(t *testing.T) {
	for name, find := range scripts {
		t.Run(name, func(t *testing.T) {
			p := find(t).start(t, "server")
			port := strings.TrimPrefix(p.line("port "), "port ")
			closed := make(chan int, 4)
			go func() {
				defer close(closed)
				for range cap(closed) {
					for line := range p.lines {
						if code, ok := strings.CutPrefix(line, "closed "); ok {
							n, _ := strconv.Atoi(code)
							closed <- n
							break
						}
					}
				}
			}()
			for _, o := range []perch.DialOptions{{}, {Compression: &takeover}} {
				checkDial(t, echoServer{"ws://127.0.0.1:" + port + "/", closed, o, true})
				if code := receive(t, closed, "end of the second connection"); code != closeCode {
					t.Errorf("the peer saw %d, want the %d it sent, answered", code, closeCode)
				}
			}
		})
	}
}
