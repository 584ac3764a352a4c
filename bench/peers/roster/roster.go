// Package roster reads peers.json and starts the servers it lists.
package roster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Peer is one server of peers.json; README.md says what the fields mean.
type Peer struct {
	Name           string   `json:"name"`
	Lang           string   `json:"lang"`
	Library        string   `json:"library"`
	Version        string   `json:"version"`
	Dir            string   `json:"dir"`
	Build          []string `json:"build"`
	Run            []string `json:"run"`
	Deflate        []string `json:"deflate"`
	TLS            []string `json:"tls"`
	Needs          []string `json:"needs"`
	SingleThreaded bool     `json:"single_threaded"`
	Settings       string   `json:"settings"`
}

// Load reads a list. Fields that are unknown are an error.
func Load(file string) ([]Peer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var peers []Peer
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&peers); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return peers, nil
}

// Missing says what keeps the peer from being started from bin; "" if nothing does.
func (p Peer) Missing(bin string) string {
	for _, program := range p.Needs {
		if program == "go" || program == "npm" {
			continue // to build it
		}
		if _, err := exec.LookPath(program); err != nil {
			return program + " is missing"
		}
	}
	for _, arg := range p.Run {
		if name, ok := strings.CutPrefix(arg, "{bin}"); ok {
			if _, err := os.Stat(bin + name); err != nil {
				return "not built: make -C bench/peers"
			}
		}
	}
	return ""
}

// Server is a running peer.
type Server struct {
	Addr string // HOST:PORT
	PID  int

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has
	log   tail
}

// patience is how long a server may take to accept.
const patience = 20 * time.Second

// Start starts the peer from bin, with more arguments, and waits until it accepts.
func (p Peer) Start(bin string, more ...string) (*Server, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var args []string
	for _, arg := range append(p.Run[:len(p.Run):len(p.Run)], more...) {
		args = append(args, strings.NewReplacer("{bin}", bin, "{port}", strconv.Itoa(port)).Replace(arg))
	}
	s := &Server{Addr: "127.0.0.1:" + strconv.Itoa(port), cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.PID = s.cmd.Process.Pid
	go func() {
		_ = s.cmd.Wait() // Ends says that it has ended, Log why
		close(s.ended)
	}()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return s, c.Close()
		}
		if s.Ends(0) || time.Now().After(end) {
			s.Stop()
			return nil, fmt.Errorf("%s does not accept: %v\n%s", p.Name, err, s.Log())
		}
	}
}

// Ends reports whether the process ends within d, or has ended.
func (s *Server) Ends(d time.Duration) bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// Stop ends the process and waits for that.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(3 * time.Second): // it waits for its clients
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// Log is the end of what the process has printed.
func (s *Server) Log() string { return s.log.String() }

// freePort looks below the range that clients get their ports from, because one
// of those could be a client's by the time the server wants it.
func freePort() (port int, err error) {
	const low, high, tries = 20000, 32000, 20
	for range tries {
		port = low + rand.IntN(high-low)
		var ln net.Listener
		if ln, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return port, ln.Close()
		}
	}
	return 0, err
}

// tail keeps the last bytes written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	const kept = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > kept {
		t.b = append(t.b[:0], t.b[len(t.b)-kept:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
