package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
)

func TestParse(t *testing.T) {
	got, err := parse(strings.Fields("serve --listen :9 --loops 2 --max-conns 7 --private-fds --cpuprofile f --pprof :1 --deflate=false"), io.Discard)
	want := options{pingInterval: 30 * time.Second, listen: ":9", loops: 2, maxConns: 7, privateFDs: true, cpuProfile: "f", pprof: ":1", compression: perch.Compression{Disabled: true}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for args, name := range map[string]string{
		"":                          "serve",
		"run":                       "run",
		"serve --nonsense":          "nonsense",
		"serve now":                 "now",
		"serve --loops -1":          "loops",
		"serve --max-conns x":       "max-conns",
		"serve --max-conns=-20":     "max-conns",
		"serve --gc-every=-1s":      "gc-every",
		"serve --ping-interval=-1s": "ping-interval",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: error %v, want one that names %s", args, err, name)
		}
	}
	for _, args := range [][]string{{"--help"}, {"serve", "-h"}} {
		var out strings.Builder
		if _, err := parse(args, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-max-conns") {
			t.Errorf("%q: error %v, printed %q, want the options", args, err, &out)
		}
	}
}
