//go:build linux

package perch

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// bucket is the limiter as a textbook has it: tokens that drip.
type bucket struct {
	tokens, most, perSecond float64
	at                      int64
}

func (b *bucket) fill(now int64) {
	b.tokens = min(b.most, b.tokens+float64(now-b.at)/1e9*b.perSecond)
	b.at = now
}

func TestLimiterMessages(t *testing.T) {
	for _, rate := range []Rate{
		{Messages: 1, Burst: 1}, {Messages: 10, Burst: 1}, {Messages: 10, Burst: 5}, {Messages: 100, Burst: 200},
		{Messages: 1000, Burst: 10}, {Messages: 8, Burst: 0},
	} {
		rate.Bytes = math.MaxInt
		l := newLimiter(rate)
		var r rateState
		b := bucket{perSecond: float64(rate.Messages), most: float64(max(rate.Burst, 1))}
		b.tokens = b.most
		rng := rand.New(rand.NewPCG(uint64(rate.Messages), 3))
		refused := 0
		for now, n := int64(1), 0; n < 5000; n++ {
			now += rng.Int64N(int64(time.Second) / int64(rate.Messages)) // twice as fast, on average
			b.fill(now)
			got := l.message(&r, now)
			if off := b.tokens - 1; math.Abs(off) > 1e-6 && got != (off > 0) {
				t.Fatalf("%+v: message %d: %v with %v tokens", rate, n, got, b.tokens)
			}
			if got {
				b.tokens--
			} else {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%+v: nothing was refused: the test shows nothing", rate)
		}
	}
}

func TestLimiterEdges(t *testing.T) {
	const none = math.MaxInt
	for _, tt := range []struct {
		name string
		rate Rate
		want int // of 1000 messages at once
	}{
		{"burst", Rate{Messages: 1, Burst: 7, Bytes: none}, 7},
		{"no burst", Rate{Messages: 1, Burst: 1, Bytes: none}, 1},
		{"any burst", Rate{Messages: 1, Burst: none, Bytes: none}, 1000},
		{"a burst beyond the clock", Rate{Messages: 1, Burst: 1 << 40, Bytes: none}, 1000},
		{"no limit", Rate{Messages: none, Burst: 1, Bytes: none}, 1000},
		{"faster than the clock", Rate{Messages: 1 << 40, Burst: 1, Bytes: none}, 1000},
	} {
		l := newLimiter(tt.rate)
		var r rateState
		got := 0
		for range 1000 {
			if l.message(&r, 5) {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d of 1000, want %d", tt.name, got, tt.want)
		}
	}
}

func TestLimiterBytes(t *testing.T) {
	l := newLimiter(Rate{Messages: math.MaxInt, Burst: 1, Bytes: 1000})
	var r rateState
	now := int64(1)
	if !l.input(&r, now, 100_000) {
		t.Fatal("an idle connection may send one read of any size")
	}
	if l.input(&r, now, 1) {
		t.Fatal("more at once passes")
	}
	now += 98 * int64(time.Second)
	if l.input(&r, now, 1) {
		t.Error("passes with two seconds' worth owed: one is the slack")
	}
	now += int64(time.Second)
	if !l.input(&r, now, 1000) {
		t.Error("refused with one second's worth owed")
	}
	none := newLimiter(Rate{Messages: math.MaxInt, Burst: 1, Bytes: math.MaxInt})
	for r, n := (rateState{}), 0; n < 3; n++ {
		if !none.input(&r, 1, 1<<30) {
			t.Error("refused without a limit")
		}
	}
}

func TestKeyOf(t *testing.T) {
	same := func(a, b string, want bool) {
		t.Helper()
		if got := keyOf(netip.MustParseAddr(a)) == keyOf(netip.MustParseAddr(b)); got != want {
			t.Errorf("%s and %s count as one: %v", a, b, got)
		}
	}
	same("192.0.2.1", "192.0.2.1", true)
	same("192.0.2.1", "192.0.2.2", false)
	same("192.0.2.1", "::ffff:192.0.2.1", true)
	same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true) // one /64
	same("2001:db8::1", "2001:db8:0:1::1", false)
	same("2001:db8::1", "2001:db8::1%eth0", true)
	same("192.0.2.1", "0:0:c000:201::", false)
	for _, a := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.9.9.9"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1")} {
		if k := keyOf(a); k != (addrKey{}) {
			t.Errorf("%v is counted, as %v", a, k)
		}
	}
}

func TestAddrCounter(t *testing.T) {
	var c addrCounter
	a, b := keyOf(netip.MustParseAddr("192.0.2.1")), keyOf(netip.MustParseAddr("192.0.2.2"))
	for n := range 5 {
		if got := c.add(a, 3); got != (n < 3) {
			t.Errorf("connection %d from one address: %v", n, got)
		}
	}
	if !c.add(b, 3) || !c.add(b, math.MaxInt) {
		t.Error("another address is refused")
	}
	c.remove(a)
	if !c.add(a, 3) || c.add(a, 3) {
		t.Error("a close does not make room for exactly one")
	}
	for _, k := range []addrKey{a, a, a, b, b} {
		c.remove(k)
	}
	if len(c.count) != 0 {
		t.Errorf("%d addresses are remembered without a connection", len(c.count))
	}
}
