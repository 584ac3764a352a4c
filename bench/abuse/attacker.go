package abuse

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Attack says to the process of an attack what it is to do.
type Attack struct {
	Scenario string
	Addr     string // of the server
	Program  string // perchd, which makes tokens
	Key      string // the file of its development key
	Short    bool
}

// Flags are the options of the process of an attack.
func (a *Attack) Flags(fs *flag.FlagSet) {
	fs.StringVar(&a.Scenario, "attack", "", "be the attacker of this `scenario`, of a run that has started this process")
	fs.StringVar(&a.Addr, "addr", "", "`address` to attack")
	fs.StringVar(&a.Program, "server", "bin/perchd", "`program` to attack: a perchd")
	fs.StringVar(&a.Key, "key", "", "`file` of the server's development key")
	fs.BoolVar(&a.Short, "short", false, "seconds instead of minutes, and less of all")
}

// Attacker is what an attack has.
type Attacker struct {
	Attack
	proxied bool

	mu     sync.Mutex
	counts map[string]int64
}

// Run attacks until ctx ends, and writes what it has counted to out.
func (a Attack) Run(ctx context.Context, out io.Writer) error {
	chosen, err := choose([]string{a.Scenario}, a.Short)
	if err != nil {
		return err
	}
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10) // the bystander keeps its time
	attacker := &Attacker{Attack: a, proxied: chosen[0].Proxied, counts: map[string]int64{}}
	if err := chosen[0].Attack(ctx, attacker); err != nil {
		return err
	}
	attacker.mu.Lock()
	defer attacker.mu.Unlock()
	return json.NewEncoder(out).Encode(attacker.counts)
}

// count adds to what the table says of the attack.
func (a *Attacker) count(what string, n int64) {
	a.mu.Lock()
	a.counts[what] += n
	a.mu.Unlock()
}

// failed counts an error by what it says.
func (a *Attacker) failed(err error) {
	if err == nil {
		return
	}
	what := err.Error()
	if i := strings.LastIndex(what, ": "); i >= 0 {
		what = what[i+2:]
	}
	a.count(what, 1)
}

// from is the i-th of n addresses of the attack.
func (a *Attacker) from(i, n int) source { return clientAt(i%n, a.proxied) }

// open opens a WebSocket. What goes wrong is counted.
func (a *Attacker) open(from source, path, token string) (*socket, error) {
	s, err := open(from, a.Addr, path, token)
	if err == nil {
		a.count("opened", 1)
	}
	return s, err
}

// crowd runs one for each of n clients until ctx ends: whoever has ended begins anew after a pause, as somebody
// who means it does.
func (a *Attacker) crowd(ctx context.Context, n int, one func(ctx context.Context, i int) error) error {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := one(ctx, i); ctx.Err() == nil {
					a.failed(err)
					pause(ctx, 200*time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// pause waits, no longer than ctx lasts.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// closeWith closes a connection when ctx ends, which ends all reads and writes of it. stop does so now.
func closeWith(ctx context.Context, s *socket) (stop func()) {
	ended := context.AfterFunc(ctx, func() { s.Close() })
	return func() { ended(); s.Close() }
}

// token makes a token for a user, with the key that these flags name.
func token(program string, key []string, user string) (string, error) {
	out, err := exec.Command(program, append([]string{"token", "--sub", user}, key...)...).Output()
	if err != nil {
		return "", fmt.Errorf("%s token: %w", program, err)
	}
	return strings.TrimSpace(string(out)), nil
}
