package main

import (
	"errors"
	"flag"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
)

func environment(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

func TestParse(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name string
		args string
		env  map[string]string
		want options
	}{
		{"nothing", "", nil, options{deadline: 10 * second}},
		{"all flags", "--listen :0 --loops 3 --max-connections 7 --private-fds --origin https://a.example --origin * --log-format json --shutdown-deadline 3s --version", nil,
			options{engine: perch.Config{Addr: ":0", Loops: 3, MaxConnections: 7, PrivateFDs: true, Origins: []string{"https://a.example", "*"}}, logJSON: true, deadline: 3 * second, version: true}},
		{"all variables", "", map[string]string{"PERCH_LISTEN": "[::1]:9", "PERCH_LOOPS": "2", "PERCH_MAX_CONNECTIONS": "5", "PERCH_PRIVATE_FDS": "true",
			"PERCH_ORIGIN": "https://a.example, http://b.example:81", "PERCH_LOG_FORMAT": "json", "PERCH_SHUTDOWN_DEADLINE": "1m", "PERCH_VERSION": "1"},
			options{engine: perch.Config{Addr: "[::1]:9", Loops: 2, MaxConnections: 5, PrivateFDs: true, Origins: []string{"https://a.example", "http://b.example:81"}}, logJSON: true, deadline: time.Minute, version: true}},
		{"a flag wins", "--loops 3 --private-fds=false --origin https://f.example", map[string]string{"PERCH_LOOPS": "9", "PERCH_PRIVATE_FDS": "true", "PERCH_ORIGIN": "*"},
			options{engine: perch.Config{Loops: 3, Origins: []string{"https://f.example"}}, deadline: 10 * second}},
		{"empty variable", "", map[string]string{"PERCH_LOOPS": ""}, options{deadline: 10 * second}},
		{"0 is no limit", "--max-connections 0 --shutdown-deadline 0", nil, options{engine: perch.Config{MaxConnections: -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(strings.Fields(tt.args), environment(tt.env), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		args string
		env  map[string]string
		name string // the message must name this
	}{
		{"--nonsense 1", nil, "nonsense"},
		{"serve", nil, "serve"},
		{"--loops", nil, "loops"},
		{"--loops 0", nil, "loops"},
		{"--loops many", nil, "loops"},
		{"--max-connections -1", nil, "max-connections"},
		{"--listen 8000", nil, "listen"},
		{"--listen 127.0.0.1:65536", nil, "listen"},
		{"--listen 127.0.0.1:http", nil, "listen"},
		{"--private-fds=maybe", nil, "private-fds"},
		{"--origin example.com", nil, "origin"},
		{"--origin https://example.com/", nil, "origin"},
		{"--log-format xml", nil, "log-format"},
		{"--shutdown-deadline 10", nil, "shutdown-deadline"},
		{"--shutdown-deadline -1s", nil, "shutdown-deadline"},
		{"", map[string]string{"PERCH_LOOPS": "x"}, "PERCH_LOOPS"},
		{"", map[string]string{"PERCH_ORIGIN": "https://a.example,nonsense"}, "PERCH_ORIGIN"},
	} {
		_, err := parse(strings.Fields(tt.args), environment(tt.env), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.name) {
			t.Errorf("%q %v: error %v, want one that names %s", tt.args, slices.Collect(maps.Keys(tt.env)), err, tt.name)
		}
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	var out strings.Builder
	if _, err := parse([]string{"--help"}, environment(nil), &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v, want flag.ErrHelp", err)
	}
	for _, s := range settings {
		if !strings.Contains(out.String(), "--"+s.name) {
			t.Errorf("help does not list --%s:\n%s", s.name, &out)
		}
	}
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8000": "127.0.0.1:8000",
		"0.0.0.0:80":     "127.0.0.1:80",
		"[::]:80":        "[::1]:80",
		"[::1]:9":        "[::1]:9",
		"192.0.2.7:9":    "192.0.2.7:9",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %q, want %q", addr, got, want)
		}
	}
}
