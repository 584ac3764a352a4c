package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/bench"
)

// endpoints starts the server of `perchbench serve`, and returns its address.
func endpoints(t *testing.T, secure serverTLS) string {
	t.Helper()
	cfg := config(options{listen: "127.0.0.1:0", loops: 1, pingInterval: 30 * time.Second})
	var err error
	if cfg.TLS, err = secure.config(); err != nil {
		t.Fatal(err)
	}
	srv := perch.New(cfg)
	if err := handle(srv); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv.Addr().String()
}

func TestLoads(t *testing.T) {
	addr, secure := endpoints(t, serverTLS{}), endpoints(t, serverTLS{selfSigned: true})
	for _, tt := range []struct{ mode, args string }{
		{"echo", "--url wss://SECURE/ws --insecure --conns 4 --size 2000 --depth 2 --words --deflate --text"},
		{"echo", "--url wss://SECURE/ws --insecure --tls-version 1.2 --conns 4 --size 40000"},
		{"storm", "--url wss://SECURE/ws --insecure --conns 4"},
		{"fanout", "--url wss://SECURE/fan --insecure --conns 4 --pubs 2 --size 64 --exact --settle 10ms"},
		{"echo", "--url ws://ADDR/ws --conns 4 --size 2000 --depth 2 --words --deflate --text"},
		{"echo", "--url ws://ADDR/ws --conns 4 --size 2000 --words --deflate --deflate-takeover --deflate-window 10 --deflate-threshold -1"},
		{"fanout", "--url ws://ADDR/fan --conns 4 --size 2000 --exact --words --deflate --settle 10ms"},
		{"echo", "--url ws://ADDR/ws --conns 4 --size 64 --depth 2"},
		{"echo", "--url ws://ADDR/ws --conns 4 --rate 500 --text"},
		{"idle", "--url ws://ADDR/ws --conns 4 --hello x --hello-ack x"},
		{"storm", "--url ws://ADDR/ws --conns 4"},
		{"fanout", "--url ws://ADDR/fan --conns 4 --pubs 2 --size 64 --exact --settle 10ms"},
		{"fanout", "--url ws://ADDR/fan --conns 4 --rate 200 --hello hi --pub-hello ho --settle 10ms"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			args := strings.Fields(strings.NewReplacer("ADDR", addr, "SECURE", secure).Replace(tt.args) + " --warmup 0s --time 100ms --json")
			var out, errOut bytes.Buffer
			if status := runLoad(tt.mode, args, &out, &errOut); status != statusOK {
				t.Fatalf("status %d: %s", status, &errOut)
			}
			var res bench.Result
			if err := json.Unmarshal(out.Bytes(), &res); err != nil {
				t.Fatal(err)
			}
			if want := strings.Contains(tt.args, "--deflate"); (res.Compressed == 1) != want || !want && res.Compressed != 0 {
				t.Errorf("%v of the answers were compressed", res.Compressed)
			}
			if res.Mode != tt.mode || !res.OK || res.Opened == 0 {
				t.Errorf("result %s", &out)
			}
			if errOut.Len() != 0 {
				t.Errorf("errors, or progress on what is no terminal: %q", &errOut)
			}
		})
	}
}

func TestLoadStatus(t *testing.T) {
	addr := endpoints(t, serverTLS{})
	short := " --warmup 0s --time 50ms --drain 50ms"
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"--url ws://" + addr + "/nowhere" + short:     {statusFaults, "404"},
		"--url http://" + addr:                        {statusFaults, "ws://"},
		"--url ws://" + addr + "/ws --csv" + short:    {statusOK, "errors_lost"},
		"--url ws://" + addr + "/ws" + short:          {statusOK, "answers"},
		"--url ws://" + addr + "/ws --pid -1" + short: {statusFaults, "process -1"},
		"--nonsense":       {statusUsage, "nonsense"},
		"extra":            {statusUsage, "extra"},
		"--header nothing": {statusUsage, "Name: value"},
		"--json --csv":     {statusUsage, "not both"},
		"--help":           {statusOK, "-depth"},
	} {
		var out bytes.Buffer
		if status := runLoad("echo", strings.Fields(args), &out, &out); status != want.status || !strings.Contains(out.String(), want.text) {
			t.Errorf("%s: status %d, want %d with %q:\n%s", args, status, want.status, want.text, &out)
		}
	}
}

func TestParseLoad(t *testing.T) {
	o, err := parseLoad("echo", []string{"--header", "A: b", "--header", "A:c", "--subprotocol", "x", "--subprotocol", "y", "--conns", "7"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if h := o.target.Header["A"]; len(h) != 2 || h[0] != "b" || h[1] != "c" || len(o.target.Subprotocols) != 2 || o.target.Conns != 7 {
		t.Errorf("target %+v", o.target)
	}
}

// TestModes asks each mode for its help: it must have an example in the command's doc comment too.
func TestModes(t *testing.T) {
	src, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for name := range modes {
		var out bytes.Buffer
		if status := runLoad(name, []string{"--help"}, &out, &out); status != statusOK || !strings.Contains(out.String(), "-conns") {
			t.Errorf("%s --help: status %d:\n%s", name, status, &out)
		}
		if !bytes.Contains(src, []byte("//\tperchbench "+name+" ")) {
			t.Errorf("main.go does not say what %s is for", name)
		}
	}
}
