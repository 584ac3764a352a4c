package suite

import (
	"strings"
	"testing"

	"github.com/perchws/perch/bench"
)

func TestProcess(t *testing.T) {
	d := testDriver(t, nil)
	s := stubServer("a", "serve")
	p, err := d.startServer(s.run, s.env, "")
	if err != nil {
		t.Fatal(err)
	}
	if cores := bench.AllowedCores(p.PID()); d.serverCores != nil && cores != len(d.serverCores) {
		t.Errorf("the server may use %d cores, want %d", cores, len(d.serverCores))
	}
	if !p.Alive() {
		t.Error("it does not live")
	}
	p.Stop()
	if p.Alive() || !gone(p.PID()) {
		t.Error("it still runs")
	}
	e := p.engine()
	if e == nil || e.TickP99 != "262µs" || e.GCs != 3 || e.GCPauseMax != "1ms" {
		t.Errorf("it said %+v of itself: %s", e, p.Output)
	}
}

func TestProcessBroken(t *testing.T) {
	d := testDriver(t, nil)
	s := stubServer("a", "broken")
	if _, err := d.startServer(s.run, s.env, ""); err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("error %v, want what it said", err)
	}
	if _, err := d.startServer([]string{"/nowhere/server"}, nil, ""); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestEngineOfOthers(t *testing.T) {
	for _, said := range []string{"", "hello", "{\n", "x\n{\n \"a\": 1\n}"} {
		if e := engineOf(said); e != nil {
			t.Errorf("%q: %+v", said, e)
		}
	}
}

func TestSplit(t *testing.T) {
	server, client := split()
	if (server == nil) != (client == nil) || len(server) > 1 {
		t.Errorf("cores %v and %v", server, client)
	}
	for _, c := range client {
		if c == server[0] {
			t.Errorf("core %d is given to both", c)
		}
	}
}
