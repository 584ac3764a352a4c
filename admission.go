//go:build linux

package perch

import (
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/perchws/perch/internal/limit"
)

// admission decides whether a new connection may come in. The connection needs a place among MaxConnections (occupy),
// and its address must be within its limits (admit). The end of the connection gives both back (uncount). A connection
// that may not come in is told so: see limits_overflow.go. Any goroutine.
type admission struct {
	connections    atomic.Int64 // places taken, also by plain HTTP
	maxConnections int          // immutable after Start
	perAddress     int64        // immutable: MaxConnectionsPerIP
	addresses      limit.Counter[limit.Address]
	arrivals       *limit.Arrivals // NewConnectionsPerSecond, NewConnectionsPerIP
}

// occupy takes a place among MaxConnections. If all are taken, an idle connection of plain HTTP is closed for it.
// false: there is no place.
func (srv *Server) occupy() bool {
	if srv.connections.Add(1) > int64(srv.maxConnections) && !srv.makeRoom() {
		srv.vacate()
		return false
	}
	return true
}

// vacate gives a place back.
func (a *admission) vacate() { a.connections.Add(-1) }

// admit counts a connection for its address, unless the address has too many, or there are too many new ones. The
// limits of the address are checked first, so that one address alone does not use up the limit that all share. fresh:
// it has not been admitted before, for the address of a proxy. The zero Address has no limits of its own.
func (a *admission) admit(from limit.Address, fresh bool, now int64) (status int, reason string) {
	switch {
	case !a.arrivals.AllowFrom(from, now):
		return http.StatusTooManyRequests, "too many new connections from this address"
	case from != (limit.Address{}) && !a.addresses.Add(from, 1, a.perAddress):
		return http.StatusTooManyRequests, "too many connections from this address"
	case fresh && !a.arrivals.Allow(now):
		a.uncountAddress(from)
		return http.StatusServiceUnavailable, "too many new connections"
	}
	return 0, ""
}

// uncountAddress undoes admit.
func (a *admission) uncountAddress(from limit.Address) {
	if from != (limit.Address{}) {
		a.addresses.Remove(from, 1)
	}
}

// uncount is the end of a connection that was admitted for an address and had a place.
func (a *admission) uncount(from limit.Address) {
	a.uncountAddress(from)
	a.vacate()
}

// countPeer counts a connection for the address of its other end, or treats it as over a limit.
func (l *loop) countPeer(i uint32, s *slot, peer netip.Addr) {
	l.own.Check()
	if s.flags&flagRefused != 0 {
		return
	}
	key := limit.AddressOf(peer)
	if contains(l.srv.cfg.TrustedProxies, peer) {
		key = limit.Address{} // the client is named in the head: see countForwarded
	}
	if status, reason := l.srv.admit(key, true, l.now); status != 0 {
		l.overLimit(i, s, peer, status, reason)
		return
	}
	l.slab.counted.Set(i, key)
}

// refuseBusy refuses a request because there is no room for it. r may be nil.
func (l *loop) refuseBusy(i uint32, s *slot, r *Request, status int, reason string) {
	l.own.Check()
	l.stats.Refused++
	l.refuse(i, s, refused{kind: RefusedLimit, status: status, reason: reason, header: retryAfter, request: r})
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
