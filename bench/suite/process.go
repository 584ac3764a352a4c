package suite

import (
	"encoding/json"
	"strings"

	"github.com/perchws/perch/bench/child"
	"github.com/perchws/perch/bench/record"
)

// process is a server that runs.
type process struct {
	*child.Process
	secure bool // it speaks TLS
}

// startServer starts a command, {port} in it replaced, and waits until it listens.
func (d *driver) startServer(command, env []string, dir string) (*process, error) {
	p, err := d.launcher.Serve(child.Server{Command: command, Env: env, Dir: dir, Cores: d.serverCores})
	if err != nil {
		return nil, err
	}
	return &process{Process: p}, nil
}

// engine is what our own server has printed at its end; nil for others.
func (p *process) engine() *record.Engine { return engineOf(p.Output.String()) }

func engineOf(said string) *record.Engine {
	i := strings.Index("\n"+said, "\n{\n")
	if i < 0 {
		return nil
	}
	e := new(record.Engine)
	if json.NewDecoder(strings.NewReader(said[i:])).Decode(e) != nil || e.TickP50 == "" {
		return nil
	}
	return e
}
