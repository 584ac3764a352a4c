package abuse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const mib = 1 << 20

// Scenario is one attack.
type Scenario struct {
	Name  string // as A2
	What  string // it does, in a few words
	Flags []string
	// Proxied says that all come through a trusted proxy: each has an address of its own that is not loopback's.
	Proxied bool
	TLS     bool // the server and the bystander speak TLS
	Keyed   bool // the server wants tokens, of an RSA key of 8192 bits or a secret; the bystander has one of the latter
	// StallLog has nobody read the server's log from the beginning of the attack on; halfway its reader goes away.
	StallLog bool
	Time     time.Duration // of the attack
	Short    time.Duration // the same in the short form
	Room     string        // where the bystander talks; "": a room of its own

	// Holds is the most that the attack may make the server hold, in bytes: the sum of the bounds in docs/limits.md,
	// and an allowance where there is none. Keeps is what may be left of it a minute after its end.
	Holds, Keeps int64
	// Kernel is the same of the kernel's buffers during the attack; 0: not judged.
	Kernel int64

	// Attack attacks until ctx ends, in a process of its own.
	Attack func(ctx context.Context, a *Attacker) error

	// Victim leaves something with the server before the attack. What it returns is called after the attack, and says
	// what is lost of it. nil: the bystander is all.
	Victim func(s *Stage) (check func() []string, err error)

	// Small changes the scenario for the short form, where it is not enough to stop earlier.
	Small func(s *Scenario)
}

// all are the scenarios in the order in which they run.
func all() []Scenario {
	return []Scenario{
		stalledLog(), posts(), plainHTTP(), carts(), histories(), ids(),
		everything(), unread(), unfinished(), passwords(), silentHellos(), manyRooms(), userLists(), flood(), signatures(), smallFrames(), resets(),
	}
}

// Names are the names of all scenarios.
func Names() []string {
	var names []string
	for _, s := range all() {
		names = append(names, s.Name)
	}
	return names
}

// choose returns the scenarios of these names, all without any.
func choose(names []string, short bool) ([]Scenario, error) {
	var chosen []Scenario
	for _, name := range names {
		if !slices.ContainsFunc(all(), func(s Scenario) bool { return strings.EqualFold(s.Name, name) }) {
			return nil, fmt.Errorf("no scenario %q, there are %s", name, strings.Join(Names(), ", "))
		}
	}
	for _, s := range all() {
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(s.Name, n) }) {
			continue
		}
		if short {
			s.Time = s.Short
			if s.Small != nil {
				s.Small(&s)
			}
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}
