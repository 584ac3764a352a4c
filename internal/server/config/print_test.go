package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestPrintIsAFile prints a Config in which no key has its default, and reads the output again.
func TestPrintIsAFile(t *testing.T) {
	var args []string
	new(Config).all(func(k key, _ value) {
		if k.name == "auth-jwks-file" { // the URL is set already
			return
		}
		for _, g := range samples[k.name].given {
			args = append(args, "--"+k.name+"="+g)
		}
	})
	for _, args := range [][]string{nil, args} {
		c, err := Load(args, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		again, err := Load([]string{"--config", write(t, out.String())}, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		again.sources, again.File = c.sources, c.File
		if !reflect.DeepEqual(again, c) {
			t.Errorf("read again:\ngot  %+v\nwant %+v\n%s", again, c, &out)
		}
	}
}

func TestPrintNamesSources(t *testing.T) {
	path := write(t, "workers = 7")
	c, err := Load([]string{"--loops", "3", "--config", path}, []string{"PERCH_ORIGIN=https://a.example,https://b.example"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]bool)
	for line := range strings.Lines(out.String()) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"loops = 3 # --loops",
		"workers = 7 # file " + path,
		`origin = ["https://a.example", "https://b.example"] # PERCH_ORIGIN`,
		`max-message-size = "64KiB" # default`,
		`max-connections = "auto" # default`,
	} {
		if !lines[want] {
			t.Errorf("no line %s in\n%s", want, &out)
		}
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	c, err := Load([]string{"--auth-jwks-url", "https://user:hunter2@id.example/jwks?key=hunter3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Auth.KeySetURL != "https://user:hunter2@id.example/jwks?key=hunter3" {
		t.Errorf("the URL itself is %q", c.Auth.KeySetURL)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter") || strings.Contains(out.String(), "user:") || !strings.Contains(out.String(), "id.example/jwks") {
		t.Errorf("printed:\n%s", &out)
	}
}

func TestHelpHasEveryKey(t *testing.T) {
	var out strings.Builder
	if err := Help(&out); err != nil {
		t.Fatal(err)
	}
	new(Config).all(func(k key, _ value) {
		if !strings.Contains(out.String(), "--"+k.name+" ") {
			t.Errorf("help does not have --%s", k.name)
		}
	})
	for line := range strings.Lines(out.String()) {
		if len(line) > 140 {
			t.Errorf("too long a line: %s", line)
		}
	}
}
