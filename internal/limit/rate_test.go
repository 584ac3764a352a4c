package limit

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// drops is a rate as a textbook has it: tokens that drip.
type drops struct {
	tokens, most, perSecond float64
	at                      int64
}

func (b *drops) fill(now int64) {
	b.tokens = min(b.most, b.tokens+float64(now-b.at)/1e9*b.perSecond)
	b.at = now
}

func TestRate(t *testing.T) {
	for _, tt := range []struct{ perSecond, burst int }{{1, 1}, {10, 1}, {10, 5}, {100, 200}, {1000, 10}, {8, 0}} {
		r := NewRate(tt.perSecond, tt.burst)
		var bucket Bucket
		b := drops{perSecond: float64(tt.perSecond), most: float64(max(tt.burst, 1))}
		b.tokens = b.most
		rng := rand.New(rand.NewPCG(uint64(tt.perSecond), 3))
		refused := 0
		for now, n := int64(1), 0; n < 5000; n++ {
			now += rng.Int64N(int64(time.Second) / int64(tt.perSecond)) // twice as fast, on average
			b.fill(now)
			got := r.Allow(&bucket, now)
			if off := b.tokens - 1; math.Abs(off) > 1e-6 && got != (off > 0) {
				t.Fatalf("%+v: message %d: %v with %v tokens", tt, n, got, b.tokens)
			}
			if got {
				b.tokens--
			} else {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%+v: nothing was refused: the test shows nothing", tt)
		}
	}
}

func TestRateEdges(t *testing.T) {
	for _, tt := range []struct {
		name             string
		perSecond, burst int
		want             int // of 1000 at once
	}{
		{"burst", 1, 7, 7},
		{"no burst", 1, 1, 1},
		{"any burst", 1, None, 1000},
		{"a burst beyond the clock", 1, 1 << 40, 1000},
		{"no limit", None, 1, 1000},
		{"faster than the clock", 1 << 40, 1, 1000},
	} {
		traffic := NewTraffic(tt.perSecond, tt.burst, None)
		var u Used
		got := 0
		for range 1000 {
			if traffic.Message(&u, 5) {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d of 1000, want %d", tt.name, got, tt.want)
		}
	}
}

func TestByteRate(t *testing.T) {
	traffic := NewTraffic(None, 1, 1000)
	if traffic.LimitsMessages() || !traffic.LimitsBytes() {
		t.Errorf("messages are limited: %v, bytes: %v", traffic.LimitsMessages(), traffic.LimitsBytes())
	}
	var u Used
	now := int64(1)
	if !traffic.Input(&u, now, 100_000) {
		t.Fatal("an idle connection may send one read of any size")
	}
	if traffic.Input(&u, now, 1) {
		t.Fatal("more at once passes")
	}
	now += 98 * int64(time.Second)
	if traffic.Input(&u, now, 1) {
		t.Error("passes with two seconds' worth owed: one is the slack")
	}
	if u.Idle(now) {
		t.Error("owes two seconds' worth and is as good as unused")
	}
	now += int64(time.Second)
	if !traffic.Input(&u, now, 1000) {
		t.Error("refused with one second's worth owed")
	}
	if !u.Idle(now + int64(2*time.Second)) {
		t.Error("nothing is owed, and it is not as good as unused")
	}
	none := NewTraffic(None, 1, None)
	for u, n := (Used{}), 0; n < 3; n++ {
		if !none.Input(&u, 1, 1<<30) {
			t.Error("refused without a limit")
		}
	}
}

func BenchmarkTraffic(b *testing.B) {
	traffic := NewTraffic(1<<20, 1<<20, 1<<30)
	var u Used
	for i := range int64(b.N) {
		traffic.Input(&u, i*2000, 128)
		traffic.Message(&u, i*2000)
	}
}
