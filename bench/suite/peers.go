package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/internal/server/certs"
)

// binVariable names the directory that the peers are built into, for those who
// want it outside of the work tree; bench/peers/bin otherwise.
const binVariable = "PEERS_BIN"

// peer is a line of bench/peers/peers.json.
type peer struct {
	Name           string   `json:"name"`
	Lang           string   `json:"lang"`
	Library        string   `json:"library"`
	Version        string   `json:"version"`
	Dir            string   `json:"dir"`     // from the root of the repository
	Build          []string `json:"build"`   // there; {bin} is replaced
	Run            []string `json:"run"`     // {bin} and {port} are replaced
	Deflate        []string `json:"deflate"` // what to add to it for permessage-deflate; {threshold} is replaced
	TLS            []string `json:"tls"`     // and for wss; {cert} and {key} are replaced
	Needs          []string `json:"needs"`   // programs
	Settings       string   `json:"settings"`
	SingleThreaded bool     `json:"single_threaded"`
}

// languages as people write them.
var languages = map[string]string{"go": "Go", "node": "Node.js", "javascript": "Node.js", "typescript": "Node.js", "python": "Python", "c": "C", "c++": "C++", "rust": "Rust"}

// peers builds the servers of bench/peers. One that cannot be built, or needs
// what is not there, is skipped and told.
func (d *driver) peers(ctx context.Context) (all []subject, err error) {
	name := filepath.Join(d.Root, "bench", "peers", "peers.json")
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		d.skip("peers", "there is no bench/peers/peers.json")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var table []peer
	if err := json.Unmarshal(b, &table); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	built := make(map[string]error) // by directory and command
	for _, p := range table {
		if !d.wanted(p.Name) {
			continue
		}
		dir := filepath.Join(d.Root, filepath.FromSlash(p.Dir))
		bin := cmp.Or(os.Getenv(binVariable), filepath.Join(dir, "bin"))
		s, err := p.subject(dir, bin, d.pair)
		if err == nil {
			key := p.Dir + "\x00" + strings.Join(p.Build, "\x00")
			if _, done := built[key]; !done {
				built[key] = d.build(ctx, dir, bin, p.Build)
			}
			if err = built[key]; err == nil {
				err = missing(s.run, bin)
			}
		}
		if err != nil {
			d.skip(p.Name, err.Error())
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

// subject is the peer as a server to measure, or why it is none.
func (p *peer) subject(dir, bin string, pair certs.Pair) (subject, error) {
	for _, program := range p.Needs {
		if _, err := exec.LookPath(program); err != nil {
			return subject{}, fmt.Errorf("it needs %s, which is not installed", program)
		}
	}
	if p.Name == "" || len(p.Run) == 0 {
		return subject{}, errors.New("peers.json does not say how to run it")
	}
	lang := p.Lang
	if l := languages[strings.ToLower(lang)]; l != "" {
		lang = l
	}
	version := strings.TrimSpace(p.Library + " " + p.Version)
	run, instead := inBin(p.Run, bin), make(map[string][]string)
	for group, more := range map[string][]string{record.Deflate: p.Deflate, record.TLS: p.TLS} {
		if more != nil {
			instead[group] = append(run[:len(run):len(run)], fill(more, pair)...)
		}
	}
	return subject{
		Server:   record.Server{Name: p.Name, Lang: lang, Version: version, Settings: p.Settings, SingleThreaded: p.SingleThreaded},
		run:      run,
		instead:  instead,
		dir:      dir,
		warm:     slices.Contains(p.Needs, "node"),
		echoPath: "/ws", fanPath: "/fan", fanLoad: plainFan,
	}, nil
}

// inBin replaces {bin}, the directory of what has been built.
func inBin(command []string, bin string) (replaced []string) {
	for _, a := range command {
		replaced = append(replaced, strings.ReplaceAll(a, "{bin}", bin))
	}
	return replaced
}

// missing finds a file of a command that building should have left in bin.
func missing(command []string, bin string) error {
	for _, a := range command {
		if strings.HasPrefix(a, bin+string(filepath.Separator)) && !exists(a) {
			return fmt.Errorf("%s was not built", a)
		}
	}
	return nil
}

// build runs the command that builds peers.
func (d *driver) build(ctx context.Context, dir, bin string, command []string) error {
	if len(command) == 0 {
		return nil
	}
	command = inBin(command, bin)
	d.say("building in %s: %s", dir, strings.Join(command, " "))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "BIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lastLine(strings.TrimSpace(string(out))))
	}
	return nil
}
