package room

import (
	"fmt"
	"testing"
	"time"
)

// summaries makes comings and goings into messages "kind came went count".
func summaries(c Config) Config {
	c.Announce = func(e Event) Frames {
		return Text(fmt.Appendf(nil, "%d +%d -%d =%d", e.Kind, len(e.Came), len(e.Went), e.Count))
	}
	return c
}

// After ten thousand joins of one room each member has got one summary a second, and not ten thousand messages.
func TestJoinTenThousand(t *testing.T) {
	const all, aSecond = 10_000, 1000
	w := newWorld(t, 2, summaries(Config{}))
	r := w.create("a", Options{})
	for i := range all {
		c := w.connect(i % 2)
		c.signIn(fmt.Sprint("u", i), 0)
		c.join(r)
		if i%aSecond == aSecond-1 {
			w.run()
			w.now = w.now.Add(time.Second)
			w.Sweep()
			w.run()
		}
	}
	// 100 joins told to all members of that moment, then 10 summaries to all members: 100·99/2 + 1000·(1 + … + 10).
	const most = 100*101/2 + aSecond*55
	if n := w.Stats().Delivered; n > most || n < aSecond*54 {
		t.Errorf("%d messages for %d joins, want about %d", n, all, most)
	}
	if r.Count() != all || r.Connections() != all {
		t.Errorf("%d members, %d connections", r.Count(), r.Connections())
	}
}

// Users that come and go within a second are not told of; above PresenceNames nobody is named.
func TestSummary(t *testing.T) {
	w := newWorld(t, 1, summaries(Config{PresenceEach: 2, PresenceNames: 5}))
	r := w.create("a", Options{})
	var all []*conn
	join := func(n int) {
		for range n {
			c := w.connect(0)
			c.signIn(fmt.Sprint("u", len(all)), 0)
			c.join(r)
			all = append(all, c)
		}
		w.run()
	}
	second := func(want ...string) {
		t.Helper()
		w.now = w.now.Add(time.Second)
		w.Sweep()
		w.run()
		all[0].expect(want...)
	}
	join(2)
	second("0 +0 -0 =2") // one message each, up to two members
	join(2)
	second("2 +2 -0 =4")
	second()
	join(1)
	all[4].leave(r)
	second() // came and gone
	all[3].leave(r)
	join(1)
	second("2 +1 -1 =4")
	join(2)
	second("2 +0 -0 =6") // too many members for names
	for _, c := range all[2:] {
		c.close()
	}
	w.run()
	second("2 +0 -2 =2") // four went, the names are PresenceEach of them
	all[1].leave(r)
	second("1 +0 -0 =1")
}

// In a very large room summaries come less often: presence never costs more than a fixed number of messages a second.
func TestPresencePace(t *testing.T) {
	w := newWorld(t, 1, summaries(Config{PresenceEach: 1}))
	r := w.create("a", Options{})
	r.nobody = 3 * presencePace // members without a user, of whom others are not told
	first := w.connect(0)
	first.signIn("first", 0)
	first.join(r)
	w.run()
	told := 0
	for i := range 30 {
		c := w.connect(0)
		c.signIn(fmt.Sprint("u", i), 0)
		c.join(r)
		w.now = w.now.Add(time.Second)
		w.Sweep()
		w.run()
		told += len(first.got)
		first.got = nil
	}
	if told < 9 || told > 11 {
		t.Errorf("%d summaries in 30 s, want one every 3 s", told)
	}
}

// TestListeners: in a private room connections without a user are members that are told of, without a name. In a public
// one they are counted alone.
func TestListeners(t *testing.T) {
	for private, want := range map[bool][]string{true: {"2 +0 -0 =2", "2 +0 -0 =1"}, false: nil} {
		w := newWorld(t, 1, summaries(Config{PresenceEach: 2}))
		r := w.create("a", Options{Private: private})
		ada := w.connect(0)
		ada.signIn("ada", 0)
		ada.join(r)
		silent := w.connect(0)
		if n := silent.join(r).Count; n != 2 {
			t.Errorf("%d members", n)
		}
		w.run()
		silent.expect() // not of itself
		silent.leave(r)
		w.run()
		ada.expect(want...)

		// Above PresenceEach they are in the summary.
		for range 3 {
			w.connect(0).join(r)
		}
		w.run()
		want = want[:len(want)/2]
		ada.expect(want...)
		w.now = w.now.Add(time.Second)
		w.Sweep()
		w.run()
		want = nil
		if private {
			want = []string{"2 +0 -0 =4"}
		}
		ada.expect(want...)
	}
}
