// Command probe finds out how the peers, and Perch, take what clients should not
// do, and prints FAULTS.md:
//
//	go run ./probe [--bin DIR] [NAME…]
//
// Everything is sent as raw bytes, over a fresh connection, and after each the
// server must still answer another client.
package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perchws/perch/bench/peers/roster"
)

//go:embed intro.md
var intro string

func main() {
	bin := flag.String("bin", "bin", "`directory` that the peers were built into")
	list := flag.String("list", "peers.json", "`file` that lists them")
	perch := flag.String("perch", "../../bin/perchbench", "our own `server`, the first column; empty: left out")
	flag.Parse()
	peers, err := roster.Load(*list)
	if err != nil {
		fail(err)
	}
	if *perch != "" {
		path, err := filepath.Abs(*perch)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			fail(fmt.Errorf("%w (make build in the root makes it)", err))
		}
		peers = append([]roster.Peer{ours(path)}, peers...)
	}
	var t table
	for _, p := range peers {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), p.Name) {
			continue
		}
		if why := p.Missing(*bin); why != "" {
			fmt.Fprintln(os.Stderr, "left out:", p.Name+":", why)
			continue
		}
		t.peers = append(t.peers, p)
	}
	for _, p := range t.peers {
		fmt.Fprintln(os.Stderr, p.Name)
		if err := t.protocol(p, *bin); err != nil {
			fail(err)
		}
		if err := t.strain(p, *bin); err != nil {
			fail(err)
		}
	}
	if err := t.dawdle(*bin); err != nil {
		fail(err)
	}
	fmt.Print(intro)
	t.write(os.Stdout)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}

// ours is perchbench serve as one more peer.
func ours(path string) roster.Peer {
	return roster.Peer{Name: "perch", Lang: "go", Run: []string{path, "serve", "--listen", "127.0.0.1:{port}"}}
}

// table is what was found: a row for each check, a column for each peer.
type table struct {
	peers []roster.Peer
	rows  []string
	mu    sync.Mutex
	cells map[string]map[string]string // by row and peer; ok: as it should be
}

func (t *table) set(row, peer, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells = make(map[string]map[string]string)
	}
	if t.cells[row] == nil {
		t.rows = append(t.rows, row)
		t.cells[row] = make(map[string]string)
	}
	t.cells[row][peer] = cell
}

// protocol sends what RFC 6455 has an answer to.
func (t *table) protocol(p roster.Peer, bin string) error {
	s, err := p.Start(bin)
	if err != nil {
		return err
	}
	defer func() { s.Stop() }()
	for _, k := range checks {
		got, ok := k.run(s.Addr)
		if ok {
			got = "ok"
		}
		if err := echoes(s.Addr); err != nil {
			got = "no longer serves"
			if s.Ends(time.Second) {
				got = "server ends"
			}
			s.Stop()
			if s, err = p.Start(bin); err != nil {
				return err
			}
		}
		t.set(k.name, p.Name, got)
	}
	return nil
}

// strain has a member that does not read, and a server without descriptors.
func (t *table) strain(p roster.Peer, bin string) error {
	s, err := p.Start(bin)
	if err != nil {
		return err
	}
	others, itself := stalled(s.Addr)
	s.Stop()
	t.set("a member stops reading: the others", p.Name, others)
	t.set("the same: what it gets afterwards", p.Name, itself)
	if s, err = p.Start(bin); err != nil {
		return err
	}
	defer s.Stop()
	t.set("out of descriptors", p.Name, noDescriptors(s.Addr, s.PID))
	return nil
}

// dawdle sends half a request to each, all at once because it takes long.
func (t *table) dawdle(bin string) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, p := range t.peers {
		s, err := p.Start(bin)
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer s.Stop()
			t.set("half a request", p.Name, halfRequest(s.Addr))
		})
	}
	return nil
}

func (t *table) write(w io.Writer) {
	fmt.Fprint(w, "| |")
	for _, p := range t.peers {
		fmt.Fprintf(w, " %s |", p.Name)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(t.peers)))
	fmt.Fprint(w, "| version |")
	for _, p := range t.peers {
		fmt.Fprintf(w, " %s |", cmp.Or(p.Version, "this tree"))
	}
	fmt.Fprintln(w)
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |", row)
		for _, p := range t.peers {
			fmt.Fprintf(w, " %s |", cmp.Or(t.cells[row][p.Name], "–"))
		}
		fmt.Fprintln(w)
	}
}
