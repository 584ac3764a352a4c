package config

import (
	"slices"
	"strings"
	"testing"
)

func TestEndpoints(t *testing.T) {
	for args, want := range map[string]string{
		"":                                     strings.Join(Endpoints(), " "),
		"--endpoints=all":                      strings.Join(Endpoints(), " "),
		"--endpoints=chat,ws":                  "ws chat",
		"--endpoints=chat --endpoints=metrics": "chat metrics",
		"--endpoints=chat,chat":                "chat",
		"--endpoints=safe,all":                 strings.Join(Endpoints(), " "),
	} {
		c, err := Load(strings.Fields(args), nil)
		if err != nil {
			t.Errorf("%q: %v", args, err)
		} else if got := strings.Join(c.Endpoints, " "); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		} else if slices.ContainsFunc(Endpoints(), func(n string) bool { return c.Serves(n) != slices.Contains(strings.Fields(want), n) }) {
			t.Errorf("%q: Serves does not agree", args)
		}
	}
	for _, args := range []string{"--endpoints=", "--endpoints=chatt", "--endpoints=ws,", "--endpoints=WS", "--endpoints=/ws", "--endpoints=none"} {
		if c, err := Load(strings.Fields(args), nil); err == nil || !strings.Contains(err.Error(), "endpoints (--endpoints)") || !strings.Contains(err.Error(), "client-id") {
			t.Errorf("%q: %v, %v", args, c, err)
		}
	}
	if c, err := Load([]string{"--config", write(t, "endpoints = []")}, nil); err == nil {
		t.Errorf("without endpoints: %v", c.Endpoints)
	}
}
