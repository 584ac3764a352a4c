package metrics

import "github.com/perchws/perch/internal/ledger"

// heldMetrics are the metrics of one kind of resource, which the label kind names.
func heldMetrics() []metric[ledger.Stats] {
	type S = ledger.Stats
	return []metric[S]{
		gauge("perch_held_bytes", "Memory that clients make the server hold.", func(s *S) float64 { return float64(s.Held) }),
		gauge("perch_held_limit_bytes", "Bound of perch_held_bytes; -1: none.", func(s *S) float64 { return float64(s.Limit) }),
		gauge("perch_held_largest_share_bytes", "What one of the users or addresses holds that hold most; none holds twice as much.",
			func(s *S) float64 { return float64(s.Largest) }),
		gauge("perch_held_payers", "Users and addresses that hold something.", func(s *S) float64 { return float64(s.Keys) }),
		counter("perch_held_refused_total", "What was refused to a client because of the bound, or of its share.",
			func(s *S) uint64 { return s.Refused }),
	}
}
