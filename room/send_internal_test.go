package room

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
)

// Connections in Except do not get the message, on any loop; all others do.
func TestExcept(t *testing.T) {
	w := newWorld(t, 2, Config{})
	r := w.create("r", Options{})
	var all []*conn
	for i := range 6 {
		c := w.connect(i % 2)
		c.join(r)
		all = append(all, c)
	}
	gone := w.connect(0)
	gone.close()
	w.run()
	for _, except := range [][]int{nil, {0}, {5}, {0, 1}, {2, 3, 4}, {0, 1, 2, 3, 4, 5}} {
		members := []Member{}
		for _, i := range except {
			members = append(members, all[i].Member)
		}
		for _, members := range [][]Member{members, append(members, gone.Member, Member{})} {
			w.publish(r, "p", members...)
			r.Send(text("s"), ClassMessage, members...)
			w.run()
			for i, c := range all {
				if slices.Contains(except, i) {
					c.expect()
				} else {
					c.expect(fmt.Sprintf("p#%d", r.Position().Offset), "s")
				}
			}
		}
	}
	w.audit()
}

// A room sends in the order of its calls, with and without offsets.
func TestSendKeepsOrder(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	a := w.connect(0)
	a.join(r)
	var want []string
	for i := range 20 {
		w.publish(r, "p")
		r.Send(text(fmt.Sprint("s", i)), ClassTyping)
		want = append(want, fmt.Sprintf("p#%d", i+1), fmt.Sprint("s", i))
	}
	w.run()
	a.expect(want...)
	if got := r.Position().Offset; got != 20 {
		t.Errorf("at offset %d: messages that were sent must have none", got)
	}
}

// A message is encoded in a dialect once, and only if a member speaks it. A member gets nothing if there is no
// message in its dialect.
func TestDialects(t *testing.T) {
	var encoded, translated int
	w := newWorld(t, 2, Config{
		Encode: func(dst []byte, room string, offset uint64, p []byte) []byte {
			encoded++
			return fmt.Appendf(dst, "%s/%d/%s", room, offset, p)
		},
		Translate: func(dst []byte, d Dialect, room string, m []byte) []byte {
			translated++
			return fmt.Appendf(dst, "%d/%s/%s", d, room, m)
		},
	})
	r := w.create("r", Options{})
	zero, one, more := w.connect(0), w.connect(1), w.connect(0)
	one.signIn("one", 1)
	more.signIn("more", 1)
	zero.join(r)
	w.publish(r, "a")
	if translated != 0 {
		t.Error("translated for nobody")
	}
	one.join(r)
	more.join(r)
	w.publish(r, "b")
	if encoded != 2 || translated != 1 {
		t.Errorf("encoded %d times and translated %d times, want 2 and 1", encoded, translated)
	}
	only := func(d Dialect) (f Frames) {
		f[d] = frame.Prepare(frame.OpText, []byte("only"))
		return f
	}
	for d := range Dialect(Dialects) {
		r.Send(only(d), ClassMessage)
		for _, c := range []*conn{zero, one} {
			w.SendMember(c.Member, only(d))
		}
		w.SendUser("one", only(d))
		w.SendAll(only(d))
	}
	r.Send(Frames{}, ClassMessage)
	posts := w.posts()
	w.run()
	zero.expect("r/1/a", "r/2/b", "only", "only")
	one.expect("1/r/r/2/b", "only", "only", "only", "only")
	more.expect("1/r/r/2/b", "only", "only")
	if w.posts() != posts {
		t.Error("a message without a receiver was posted")
	}
	one.leave(r)
	more.leave(r)
	w.publish(r, "c")
	if translated != 1 {
		t.Error("translated for nobody any more")
	}
	w.run()
	if j := one.joinWith(r, JoinOptions{Since: &Position{r.Position().Epoch, 1}}); !slices.Equal(payloads(j.Missed), []string{"1/r/r/2/b", "1/r/r/3/c"}) {
		t.Errorf("missed %q", payloads(j.Missed))
	}
	w.run()
	w.audit()
}

// A message goes out with its opcode in every dialect.
func TestOpcode(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	c := w.connect(0)
	c.signIn("c", 1)
	c.join(r)
	for _, op := range []frame.Opcode{frame.OpText, frame.OpBinary, 0} {
		if _, err := w.tryPublish(r, Message{Op: op, Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	w.run()
	d := w.connect(0)
	d.signIn("d", 1)
	j := d.joinWith(r, JoinOptions{Since: &Position{Epoch: r.Position().Epoch}})
	var ops []frame.Opcode
	for _, p := range j.Missed {
		ops = append(ops, p.Opcode())
	}
	if !slices.Equal(ops, []frame.Opcode{frame.OpText, frame.OpBinary, frame.OpText}) {
		t.Errorf("opcodes %v", ops)
	}
}

func TestSendUser(t *testing.T) {
	w := newWorld(t, 2, Config{})
	a, a2, a3, b := w.connect(0), w.connect(0), w.connect(1), w.connect(1)
	for _, c := range []*conn{a, a2, a3} {
		c.signIn("a", 0)
	}
	b.signIn("b", 1)
	posts := w.posts()
	if n, _ := w.SendUser("a", text("1")); n != 3 {
		t.Errorf("for %d connections, want 3", n)
	}
	if got := w.posts() - posts; got != 2 {
		t.Errorf("%d posts, want one a loop", got)
	}
	if n, _ := w.SendUser("a", text("2"), a.Member, b.Member); n != 2 {
		t.Errorf("for %d connections, want 2", n)
	}
	if n, _ := w.SendUser("a", text("3"), a.Member, a2.Member, a3.Member); n != 0 {
		t.Errorf("for %d connections, want 0", n)
	}
	if n, _ := w.SendUser("nobody", text("4")); n != 0 {
		t.Errorf("for %d connections, want 0", n)
	}
	if n, _ := w.SendUser("b", text("5")); n != 1 {
		t.Errorf("for %d connections, want 1", n)
	}
	a2.close()
	w.run()
	a.expect("1")
	a2.expect() // another connection has its slot
	a3.expect("1", "2")
	b.expect("~5")
	if n, _ := w.SendUser("a", text("6")); n != 2 {
		t.Errorf("for %d connections, want 2", n)
	}
	w.run()
	w.audit()
}

// A message for one connection does not reach the next connection in its slot. It also reaches a connection that has
// neither signed in nor joined.
func TestSendMember(t *testing.T) {
	w := newWorld(t, 1, Config{})
	quiet, signed := w.connect(0), w.connect(0)
	signed.signIn("s", 1)
	w.SendMember(quiet.Member, text("1"))
	w.SendMember(signed.Member, text("2"))
	w.run()
	quiet.expect("1")
	signed.expect("~2")
	for _, c := range []*conn{quiet, signed} {
		w.SendMember(c.Member, text("too late"))
		c.close()
		w.SendMember(c.Member, text("too late"))
		next := w.connect(0)
		if next.Slot != c.Slot {
			t.Fatal("another slot")
		}
		w.run()
		next.expect()
		next.signIn("next", 0)
		w.SendMember(c.Member, text("too late"))
		w.run()
		next.expect()
		c.expect()
	}
	w.audit()
}

// The zero Member is no connection, not even the first one.
func TestSendToZeroMember(t *testing.T) {
	w := newWorld(t, 1, Config{})
	first := w.connect(0)
	if first.Slot != 0 {
		t.Fatal("not the first slot")
	}
	w.connect(0).signIn("has made a table of seats", 0)
	w.SendMember(Member{}, text("x"))
	w.run()
	first.expect()
	New(Config{}).SendMember(Member{}, text("x")) // before there are loops
}

func TestSendAll(t *testing.T) {
	w := newWorld(t, 3, Config{})
	a, b, c, quiet := w.connect(0), w.connect(1), w.connect(1), w.connect(2)
	a.signIn("a", 0)
	b.signIn("b", 1)
	c.signIn("c", 0)
	w.SendAll(text("1"))
	w.SendAll(text("2"), b.Member)
	w.SendAll(text("3"), b.Member, a.Member)
	w.run()
	a.expect("1", "2")
	b.expect("~1")
	c.expect("1", "2", "3")
	quiet.expect()
	quiet.join(w.create("r", Options{})) // joining is not signing in
	w.SendAll(text("4"))
	w.run()
	quiet.expect()
	if s := w.Stats(); s.Delivered != 9 {
		t.Errorf("%d delivered, want 9", s.Delivered)
	}
	New(Config{}).SendAll(text("x")) // before there are loops
	w.audit()
}

// A walk passes over very many connections that speak the other dialect.
func TestSendAllPassesOver(t *testing.T) {
	const n = 1 << 20
	w := newWorld(t, 1, Config{})
	s := w.loops[0].shards
	u := new(User)
	for i := range uint32(n + 1) {
		s.seats.Set(i, seat{gen: 1, link: 1})
		s.users.Set(i, u)
	}
	s.seats.At(n).link = 0
	at := s.Cursor(&Delivery{all: true, frames: Text([]byte("x"))})
	if !at.Next() || at.Slot != n || at.Next() {
		t.Errorf("it went to %d, want %d alone", at.Slot, n)
	}
}

// Typing is left out first, then presence, messages never.
func TestClasses(t *testing.T) {
	const most = 1600
	for _, tt := range []struct {
		queued int
		want   string
	}{
		{0, "mpt"},
		{most / 16, "mpt"},
		{most/16 + 1, "mp"},
		{most / 2, "mp"},
		{most/2 + 1, "m"},
		{most, "m"},
		{2 * most, "m"},
	} {
		w := newWorld(t, 1, Config{})
		r := w.create("r", Options{})
		slow, other := w.connect(0), w.connect(0)
		slow.join(r)
		other.join(r)
		w.loops[0].most, slow.queued = most, tt.queued
		r.Send(text("m"), ClassMessage)
		r.Send(text("p"), ClassPresence)
		r.Send(text("t"), ClassTyping)
		w.run()
		if got := strings.Join(slow.got, ""); got != tt.want {
			t.Errorf("with %d of %d bytes queued it gets %s, want %s", tt.queued, most, got, tt.want)
		}
		other.expect("m", "p", "t")
		if s := w.Stats(); s.Shed != uint64(3-len(tt.want)) || s.Delivered != uint64(3+len(tt.want)) {
			t.Errorf("%d shed and %d delivered", s.Shed, s.Delivered)
		}
	}
}

// Taken is called once, when all loops have walked, with the number of queues that took the message.
func TestTaken(t *testing.T) {
	w := newWorld(t, 3, Config{})
	r := w.create("r", Options{})
	var all []*conn
	for i := range 6 {
		c := w.connect(i % 2) // none on the third loop
		c.join(r)
		all = append(all, c)
	}
	var got []int
	publish := func(except ...Member) Receipt {
		var receipt Receipt
		r.Publish(Message{Payload: []byte("m"), Except: except, Taken: func(n int) { got = append(got, n) }}, func(at Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
			receipt = at
		})
		return receipt
	}
	w.run()
	if at := publish(all[0].Member, all[1].Member); at.Members != 6 || at.Offset != 1 || at.Epoch == "" {
		t.Errorf("receipt %+v", at)
	}
	w.loops[0].step()
	if len(got) != 0 {
		t.Error("Taken was called before all loops had walked")
	}
	w.run()
	publish()
	all[5].close()
	w.run()
	for _, c := range all[:5] {
		c.close()
	}
	publish() // for no receiver
	if !slices.Equal(got, []int{4, 5, 0}) {
		t.Errorf("taken by %v, want 4, 5 and 0", got)
	}
	w.audit()
}
