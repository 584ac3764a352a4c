//go:build linux

package perch

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// rateState is one connection's two leaky buckets, as the times at which they
// will be empty (GCRA): nanoseconds since the server's start.
type rateState struct {
	messages, bytes int64
}

// limiter is a Rate prepared for checking.
type limiter struct {
	perMessage, messageSlack int64   // ns; 0: no limit
	perByte                  float64 // ns
	byteSlack                int64
}

func newLimiter(r Rate) limiter {
	var l limiter
	if r.Messages != math.MaxInt {
		l.perMessage = int64(time.Second) / int64(r.Messages)
		l.messageSlack = math.MaxInt64
		if more := int64(max(r.Burst, 1) - 1); l.perMessage == 0 || more <= math.MaxInt64/l.perMessage {
			l.messageSlack = l.perMessage * more
		}
	}
	if r.Bytes != math.MaxInt {
		l.perByte = float64(time.Second) / float64(r.Bytes)
		l.byteSlack = int64(time.Second)
	}
	return l
}

// message takes one message from the bucket; false: it is over the rate.
func (l *limiter) message(r *rateState, now int64) bool {
	if l.perMessage == 0 {
		return true
	}
	full := max(r.messages, now)
	if full-now > l.messageSlack {
		return false
	}
	r.messages = full + l.perMessage
	return true
}

// input takes n bytes from the bucket. What counts is what came before, so that
// one read of any size passes an idle connection.
func (l *limiter) input(r *rateState, now int64, n int) bool {
	if l.perByte == 0 {
		return true
	}
	full := max(r.bytes, now)
	if full-now > l.byteSlack {
		return false
	}
	r.bytes = full + int64(float64(n)*l.perByte)
	return true
}

// rateOf is the bucket of slot i.
func (t *slab) rateOf(i uint32) *rateState {
	c := t.chunks[i>>chunkBits].Load()
	if c.rates == nil {
		c.rates = new([chunkSize]rateState)
	}
	return &c.rates[i%chunkSize]
}

// addrKey is what connections are counted by: an IPv4 address, or the /64 of an
// IPv6 address. The zero key is not counted.
type addrKey [8]byte

// keyOf returns the key of a, zero for loopback, unix sockets and unknown
// addresses.
func keyOf(a netip.Addr) (k addrKey) {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsLoopback() || a == unixPeer:
	case a.Is4():
		b := a.As4()
		k = addrKey{0, 0, 0xFF, 0xFF, b[0], b[1], b[2], b[3]} // no such global IPv6 prefix: 0000::/8 is reserved
	default:
		b := a.As16()
		copy(k[:], b[:8])
	}
	return k
}

// shareOf returns whom a connection is reckoned to where few places are shared out.
// It is keyOf, but for loopback addresses: they share like any other.
func shareOf(a netip.Addr) (k addrKey) {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return addrKey{0, 0, 0xFF, 0xFF, b[0], b[1], b[2], b[3]}
	}
	return keyOf(a)
}

// addrCounter counts the connections of every address. Any goroutine.
type addrCounter struct {
	mu    sync.Mutex
	count map[addrKey]int32
}

// add counts one more, unless there are most already.
func (c *addrCounter) add(k addrKey, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = make(map[addrKey]int32)
	}
	if int(c.count[k]) >= most {
		return false
	}
	c.count[k]++
	return true
}

// remove counts one less.
func (c *addrCounter) remove(k addrKey) {
	if k == (addrKey{}) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[k]--; c.count[k] <= 0 {
		delete(c.count, k)
	}
}

// uncount is the end of a connection that was counted for k.
func (srv *Server) uncount(k addrKey) {
	srv.addrs.remove(k)
	srv.connections.Add(-1)
}

// setPeer remembers whom slot i is counted for.
func (t *slab) setPeer(i uint32, k addrKey) {
	c := t.chunks[i>>chunkBits].Load()
	if c.peers == nil {
		if k == (addrKey{}) {
			return
		}
		c.peers = new([chunkSize]addrKey)
	}
	c.peers[i%chunkSize] = k
}

// peer is the key that setPeer stored.
func (t *slab) peer(i uint32) (k addrKey) {
	if p := t.chunks[i>>chunkBits].Load().peers; p != nil {
		k = p[i%chunkSize]
	}
	return k
}

// setProxied remembers the client that a PROXY header has named for slot i.
func (t *slab) setProxied(i uint32, a netip.AddrPort) {
	c := t.chunks[i>>chunkBits].Load()
	if c.proxied == nil {
		if !a.IsValid() {
			return
		}
		c.proxied = new([chunkSize]netip.AddrPort)
	}
	c.proxied[i%chunkSize] = a
}

// proxiedFor is what setProxied stored.
func (t *slab) proxiedFor(i uint32) (a netip.AddrPort) {
	if p := t.chunks[i>>chunkBits].Load().proxied; p != nil {
		a = p[i%chunkSize]
	}
	return a
}
