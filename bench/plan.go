package bench

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

const (
	// sourceConns is how many connections one source address gets, as long as
	// there are addresses. It could have several times as many, but the kernel
	// searches for a free port, which takes ever longer.
	sourceConns = 5000
	// maxSources is the last of 127.0.0.2 … 127.0.0.254.
	maxSources = 253
	// descriptorReserve is what is left for all else than connections.
	descriptorReserve = 128
)

// system is what the machine allows. 0 is not known.
type system struct {
	descriptors int // of one table
	ports       int // of one source address
	conntrack   int // tracked connections
	private     func() error
}

func readSystem() system {
	s := system{descriptors: sock.DescriptorLimit(), private: tryPrivate}
	var low, high int
	if n, _ := fmt.Sscan(readText("/proc/sys/net/ipv4/ip_local_port_range"), &low, &high); n == 2 {
		s.ports = high - low + 1
	}
	fmt.Sscan(readText("/proc/sys/net/netfilter/nf_conntrack_max"), &s.conntrack)
	return s
}

// readText is a file of /proc; empty if there is none.
func readText(name string) string {
	b, _ := os.ReadFile(name)
	return strings.TrimSpace(string(b))
}

// tryPrivate finds out whether a thread may have a descriptor table of its own.
func tryPrivate() error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its table
		result <- unix.Unshare(unix.CLONE_FILES)
	}()
	return <-result
}

// plan is how the connections are spread.
type plan struct {
	loops   int
	private bool         // a descriptor table for each loop
	sources []netip.Addr // nil: the kernel chooses
}

// plan says how n connections to addr can be had, or what the operator must
// change for that.
func (s *system) plan(t *Target, addr netip.Addr, n int) (plan, error) {
	p := plan{loops: max(t.Loops, 1)}
	if n > s.descriptors-descriptorReserve {
		per := s.descriptors - sock.PrivateReserve
		need := 0
		if per > 0 {
			need = (n + per - 1) / per
		}
		advice := fmt.Sprintf("`ulimit -n %d` (and as hard limit; it is %d)", n+descriptorReserve, s.descriptors)
		if need == 0 {
			return p, fmt.Errorf("%d connections: too few descriptors: %s", n, advice)
		}
		if err := s.private(); err != nil {
			return p, fmt.Errorf("%d connections: too few descriptors, and no table of their own for each loop (unshare: %w; containers need CAP_SYS_ADMIN): %s, or run several perchbench", n, err, advice)
		}
		if t.Loops != 0 && t.Loops < need {
			return p, fmt.Errorf("%d connections: %d descriptors for a loop: at least %d loops, or %s", n, s.descriptors, need, advice)
		}
		p.loops, p.private = max(p.loops, need), true
	}
	p.loops = min(p.loops, n)
	if s.conntrack > 0 && 2*n > s.conntrack {
		return p, fmt.Errorf("%d connections: the firewall tracks %d, and on one machine each counts twice: `sysctl net.netfilter.nf_conntrack_max=%d`", n, s.conntrack, 3*n)
	}
	return p, s.spread(&p, t, addr, n)
}

// spread chooses the source addresses.
func (s *system) spread(p *plan, t *Target, addr netip.Addr, n int) error {
	if loopback := addr.Is4() && addr.IsLoopback(); !loopback {
		if t.Sources > 0 {
			return fmt.Errorf("source addresses are for servers on 127.0.0.0/8, not for %s", t.URL)
		}
		if s.ports > 0 && n > s.ports {
			return fmt.Errorf("%d connections: one address has %d ports: `sysctl net.ipv4.ip_local_port_range=\"1024 65535\"`, or more client machines", n, s.ports)
		}
		return nil
	}
	sources := t.Sources
	if sources == 0 {
		if sources = min((n+sourceConns-1)/sourceConns, maxSources); sources == 1 {
			return nil
		}
	}
	if sources > maxSources {
		return fmt.Errorf("%d source addresses: there are %d", sources, maxSources)
	}
	if s.ports > 0 && n > sources*s.ports {
		return fmt.Errorf("%d connections: %d addresses have %d ports each: `sysctl net.ipv4.ip_local_port_range=\"1024 65535\"`", n, sources, s.ports)
	}
	for i := range sources {
		p.sources = append(p.sources, netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}))
	}
	return nil
}
