package bench

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	yes, no := func() error { return nil }, func() error { return errors.New("forbidden") }
	local, far := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")
	small := system{descriptors: 20_000, ports: 28_000, private: yes}
	for _, tt := range []struct {
		name    string
		s       system
		t       Target
		addr    netip.Addr
		n       int
		loops   int
		private bool
		sources int
		err     string // part of it
	}{
		{"few", small, Target{}, local, 100, 1, false, 0, ""},
		{"few, loops", small, Target{Loops: 3}, local, 100, 3, false, 0, ""},
		{"fewer than loops", small, Target{Loops: 3}, local, 2, 2, false, 0, ""},
		{"one source", small, Target{}, local, 5000, 1, false, 0, ""},
		{"two sources", small, Target{}, local, 5001, 1, false, 2, ""},
		{"fits", small, Target{}, local, 20_000 - descriptorReserve, 1, false, 4, ""},
		{"does not fit", small, Target{}, local, 20_001 - descriptorReserve, 2, true, 4, ""},
		{"100,000", small, Target{}, local, 100_000, 6, true, 20, ""},
		{"100,000 at 1,000,000 descriptors", system{descriptors: 1_000_000, ports: 28_000, private: no}, Target{}, local, 100_000, 1, false, 20, ""},
		{"too few loops", small, Target{Loops: 2}, local, 100_000, 0, false, 0, "at least 6 loops"},
		{"no tables", system{descriptors: 20_000, private: no}, Target{}, local, 100_000, 0, false, 0, "ulimit -n 100128"},
		{"no descriptors", system{descriptors: 100, private: yes}, Target{}, local, 1000, 0, false, 0, "ulimit -n 1128"},
		{"source addresses", small, Target{Sources: 2}, local, 10, 1, false, 2, ""},
		{"too many source addresses", small, Target{Sources: 254}, local, 10, 0, false, 0, "253"},
		{"all source addresses", system{descriptors: 3_000_000, ports: 28_000}, Target{}, local, 2_000_000, 1, false, 253, ""},
		{"too few ports", system{descriptors: 20_000, ports: 1000}, Target{}, local, 9000, 0, false, 0, "ip_local_port_range"},
		{"too few ports of one", small, Target{Sources: 1}, local, 28_001, 0, false, 0, "ip_local_port_range"},
		{"far away", small, Target{}, far, 10_000, 1, false, 0, ""},
		{"far away, too few ports", small, Target{}, far, 30_000, 0, false, 0, "ip_local_port_range"},
		{"far away, source addresses", small, Target{Sources: 2}, far, 10, 0, false, 0, "127.0.0.0/8"},
		{"firewall", system{descriptors: 20_000, conntrack: 10_000}, Target{}, local, 6000, 0, false, 0, "nf_conntrack_max=18000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.s.plan(&tt.t, tt.addr, tt.n)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || p.loops != tt.loops || p.private != tt.private || len(p.sources) != tt.sources {
				t.Errorf("plan of %d loops, private %v, %d sources, error %v; want %d, %v, %d", p.loops, p.private, len(p.sources), err, tt.loops, tt.private, tt.sources)
			}
			if len(p.sources) > 0 && p.sources[0] != netip.MustParseAddr("127.0.0.2") {
				t.Errorf("first source %v, want 127.0.0.2", p.sources[0])
			}
		})
	}
}

// TestReadSystem reads this machine's limits.
func TestReadSystem(t *testing.T) {
	s := readSystem()
	if s.descriptors < 3 || s.ports < 1 {
		t.Errorf("%d descriptors, %d ports", s.descriptors, s.ports)
	}
}
