package metrics

import "github.com/perchws/perch/session"

func sessionMetrics() []metric[session.Stats] {
	type S = session.Stats
	return []metric[S]{
		gauge("perch_sessions", "Sessions kept, those that wait to be resumed included.", func(s *S) float64 { return float64(s.Sessions) }),
		gauge("perch_sessions_attached", "Sessions that a connection holds.", func(s *S) float64 { return float64(s.Attached) }),
		gauge("perch_session_bytes", "Memory of all sessions, as the store reckons it.", func(s *S) float64 { return float64(s.Bytes) }),
		counter("perch_sessions_evicted_total", "Sessions dropped for want of memory.", func(s *S) uint64 { return s.Evicted }),
		counter("perch_sessions_expired_total", "Sessions dropped because their time was over.", func(s *S) uint64 { return s.Expired }),
	}
}
