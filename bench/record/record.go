// Package record is what a run of the suite writes down: the machine, the
// servers, and every measurement as it came, so that a report can be made anew
// from the file alone.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perchws/perch/bench"
)

// Name is the file in the directory of a run.
const Name = "results.json"

// format changes when older files can no longer be read.
const format = 1

// Run is one run of the suite.
type Run struct {
	Format  int       `json:"format"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // that it took
	Command string    `json:"command"` // that repeats it
	Machine Machine   `json:"machine"`
	Base    string    `json:"base,omitempty"` // two commits are compared: the name of the older server
	Servers []Server  `json:"servers"`
	Skipped []Skip    `json:"skipped,omitempty"`
	Cases   []Case    `json:"cases"`
}

// Server is one of the servers measured.
type Server struct {
	Name           string `json:"name"`
	Lang           string `json:"lang"`
	Version        string `json:"version,omitempty"`
	Settings       string `json:"settings,omitempty"` // and what else is to be known about its figures
	Ours           bool   `json:"ours,omitempty"`
	Yardstick      bool   `json:"yardstick,omitempty"`       // no server for use: the limit
	SingleThreaded bool   `json:"single_threaded,omitempty"` // it cannot use a second core
}

// Skip is a server that could not be measured.
type Skip struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Case is one load, given to several servers in turn.
type Case struct {
	Group   string   `json:"group"`       // see the groups
	X       int      `json:"x,omitempty"` // connections or members, where the cases of a group make a curve
	Load    []string `json:"load"`        // mode and options of perchbench
	Samples []Sample `json:"samples"`
}

// Sample is one measurement.
type Sample struct {
	Server string `json:"server"`
	Round  int    `json:"round"`
	Error  string `json:"error,omitempty"` // it failed: the figures do not count
	// cores that neither server nor client kept busy meanwhile, but somebody else
	Others float64       `json:"others,omitempty"`
	Result *bench.Result `json:"result,omitempty"`
	Engine *Engine       `json:"engine,omitempty"` // ours: what the server said of itself at its end
}

// Engine is what perchbench serve prints when it ends, as far as the report
// wants it.
type Engine struct {
	TickP50    string
	TickP99    string
	GCs        uint64
	GCPauseP50 string
	GCPauseMax string
}

// Good reports that the sample's figures count.
func (s *Sample) Good() bool { return s.Error == "" && s.Result != nil }

// Save writes the run into a directory.
func (r *Run) Save(dir string) error {
	r.Format = format
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, Name), append(b, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(dir string) (*Run, error) {
	name := filepath.Join(dir, Name)
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: `perchbench suite` writes it", dir, Name)
	}
	if err != nil {
		return nil, err
	}
	r := new(Run)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Format != format {
		return nil, fmt.Errorf("%s: format %d, this program reads %d: run the suite again", name, r.Format, format)
	}
	return r, nil
}
