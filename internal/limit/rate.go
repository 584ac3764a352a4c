// Package limit decides whether somebody may have more of something: messages and bytes in time
// ([Rate], [Traffic]), new connections in time ([Arrivals]), a share of what there is ([Shares],
// [Counter]). It reads no clock: now is a time in nanoseconds that never goes back, from any
// beginning before it.
package limit

import (
	"math"
	"time"
)

// None stands for "no limit".
const None = math.MaxInt

// Rate is a limit of so many a second. The zero Rate is no limit. Immutable: any goroutine.
type Rate struct {
	one   int64   // ns that one takes; 0: no limit
	each  float64 // the same, of what is counted by many
	slack int64   // ns: how far ahead of the rate one may be
}

// Bucket is how much of a Rate somebody has used: the time at which all of it is made good
// (the generic cell rate algorithm, ITU-T I.371). The zero Bucket is unused. It belongs to one
// goroutine, or to whoever holds the caller's mutex.
type Bucket int64

// NewRate limits to perSecond, of which burst may come at once, one at least.
func NewRate(perSecond, burst int) Rate {
	if perSecond == None {
		return Rate{}
	}
	r := Rate{one: int64(time.Second) / int64(perSecond), slack: math.MaxInt64}
	r.each = float64(r.one)
	if more := int64(max(burst, 1) - 1); r.one == 0 || more <= math.MaxInt64/r.one {
		r.slack = r.one * more
	}
	return r
}

// NewByteRate limits to perSecond of what comes in amounts, as bytes do. Those of one second may
// come ahead of it, and any amount to an unused bucket.
func NewByteRate(perSecond int) Rate {
	if perSecond == None {
		return Rate{}
	}
	return Rate{one: 1, each: float64(time.Second) / float64(perSecond), slack: int64(time.Second)}
}

// Limited reports whether there is a limit.
func (r *Rate) Limited() bool { return r.one != 0 }

// Allow uses one of the rate; false: there is none left.
func (r *Rate) Allow(b *Bucket, now int64) bool { return r.take(b, now, r.one) }

// AllowN uses n of the rate, for which what was used before counts, and not n itself; false:
// there is none left.
func (r *Rate) AllowN(b *Bucket, now int64, n int) bool {
	return r.take(b, now, int64(float64(n)*r.each))
}

// take uses what takes ns of the rate.
func (r *Rate) take(b *Bucket, now, ns int64) bool {
	full := max(int64(*b), now)
	if full-now > r.slack {
		return false
	}
	*b = Bucket(full + ns)
	return true
}

// Traffic limits what one connection sends. Immutable: any goroutine.
type Traffic struct {
	messages, bytes Rate
}

// Used is what one connection has used of its Traffic.
type Used struct {
	messages, bytes Bucket
}

// NewTraffic limits to so many messages a second, of which burst may come at once, and so many
// bytes a second. None is no limit.
func NewTraffic(messages, burst, bytes int) Traffic {
	return Traffic{NewRate(messages, burst), NewByteRate(bytes)}
}

// LimitsMessages reports whether messages are limited.
func (t *Traffic) LimitsMessages() bool { return t.messages.Limited() }

// LimitsBytes reports whether bytes are limited.
func (t *Traffic) LimitsBytes() bool { return t.bytes.Limited() }

// Message counts one message; false: it is over the limit.
func (t *Traffic) Message(u *Used, now int64) bool { return t.messages.Allow(&u.messages, now) }

// Input counts n bytes; false: they are over the limit. One read of any size is within it for a
// connection that has been idle.
func (t *Traffic) Input(u *Used, now int64, n int) bool { return t.bytes.AllowN(&u.bytes, now, n) }

// Idle reports that u is as good as unused: nothing of it counts any more.
func (u *Used) Idle(now int64) bool { return int64(u.messages) <= now && int64(u.bytes) <= now }
