package room

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/clock"
)

// world is a hub for tests: the test turns its loops and moves its clock, and its connections remember their
// messages.
type world struct {
	*Hub
	t     testing.TB
	loops []*turnstile
	now   time.Time
}

// newWorld makes a world. Messages read "payload#offset" in dialect 0 and "~payload#offset" in dialect 1, unless c
// says otherwise.
func newWorld(t testing.TB, loops int, c Config) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_700_000_000, 0)}
	c.Clock = worldClock{clock.Real(), w}
	if c.Encode == nil {
		c.Encode = func(dst []byte, _ string, offset uint64, p []byte) []byte {
			return fmt.Appendf(dst, "%s#%d", p, offset)
		}
	}
	if c.Translate == nil {
		c.Translate = func(dst []byte, _ Dialect, _ string, m []byte) []byte { return fmt.Appendf(dst, "~%s", m) }
	}
	w.Hub = New(c)
	var all []Loop
	for i := range loops {
		l := &turnstile{shards: NewShards(w.Hub, i)}
		w.loops = append(w.loops, l)
		all = append(all, l)
	}
	w.running = true // so that the hub's own looks do not start: the test calls Sweep
	w.Attach(all, nil)
	return w
}

// turnstile is an event loop that carries out one delivery at a time.
type turnstile struct {
	shards  *Shards
	conns   []*conn                    // by slot; nil: free
	gens    []uint32                   // by slot
	walking func(d *Delivery, c *conn) // called for every receiver, before the next one gets the message
	most    int                        // bytes that may wait for a connection

	mu    sync.Mutex
	posts []*Delivery
	calls map[*Delivery]func() // of Do, by their places in posts
	total int
	ended bool
}

var errEnded = errors.New("the loop has ended")

// Post implements Loop.
func (l *turnstile) Post(d *Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return errEnded
	}
	l.posts = append(l.posts, d)
	l.total++
	return nil
}

// Do implements Loop.
func (l *turnstile) Do(m Member, f func()) error {
	d := new(Delivery)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return errEnded
	}
	if l.calls == nil {
		l.calls = make(map[*Delivery]func())
	}
	l.calls[d] = func() {
		if c := l.conns[m.Slot]; c != nil && c.Gen == m.Gen {
			f()
		}
	}
	l.posts = append(l.posts, d)
	return nil
}

// Close implements Loop: the connection hears of it like of a message.
func (l *turnstile) Close(m Member, code frame.CloseCode, reason string) error {
	return l.Do(m, func() {
		c := l.conns[m.Slot]
		c.got = append(c.got, fmt.Sprintf("%v %s", code, reason))
		c.close()
	})
}

// Name implements Loop.
func (l *turnstile) Name(m Member) string { return fmt.Sprintf("%d.%d.%d", m.Loop, m.Slot, m.Gen) }

// step carries out one delivery or call, as the engine does; false: there is none.
func (l *turnstile) step() bool {
	l.mu.Lock()
	if len(l.posts) == 0 {
		l.mu.Unlock()
		return false
	}
	d := l.posts[0]
	l.posts = l.posts[1:]
	call := l.calls[d]
	delete(l.calls, d)
	l.mu.Unlock()
	if call != nil {
		call()
		return true
	}
	if l.shards.Change(d) {
		return true
	}
	var taken, shed int
	for at := l.shards.Cursor(d); at.Next(); {
		c := l.conns[at.Slot]
		if c == nil || at.Gen != 0 && at.Gen != c.Gen || d.Excludes(c.Member) {
			continue
		}
		if !d.Class().Fits(c.queued, l.most) {
			shed++
			continue
		}
		c.got = append(c.got, string(at.Frame.Payload()))
		taken++
		if l.walking != nil {
			l.walking(d, c)
		}
	}
	d.Walked(taken, shed)
	return true
}

// run turns all loops until nothing is left to carry out.
func (w *world) run() {
	for again := true; again; {
		again = false
		for _, l := range w.loops {
			for l.step() {
				again = true
			}
		}
	}
}

// posts returns how many deliveries loops have got so far.
func (w *world) posts() (n int) {
	for _, l := range w.loops {
		l.mu.Lock()
		n += l.total
		l.mu.Unlock()
	}
	return n
}

// conn is a connection.
type conn struct {
	Member
	w      *world
	l      *turnstile
	got    []string
	queued int
}

// connect makes a connection on loop i, in its first free slot.
func (w *world) connect(i int) *conn {
	l := w.loops[i]
	slot := slices.Index(l.conns, nil)
	if slot < 0 {
		slot = len(l.conns)
		l.conns, l.gens = append(l.conns, nil), append(l.gens, 0)
	}
	l.gens[slot]++
	c := &conn{w: w, l: l, Member: Member{uint32(i), uint32(slot), l.gens[slot]}}
	l.conns[slot] = c
	return c
}

// close ends the connection, and frees its slot.
func (c *conn) close() {
	c.l.shards.LeaveAll(c.Slot)
	c.l.conns[c.Slot] = nil
}

func (c *conn) signIn(id string, d Dialect) *User {
	c.w.t.Helper()
	u, _, err := c.l.shards.SignIn(c.Slot, c.Gen, Identity{ID: id, Name: id, Dialect: d})
	if err != nil {
		c.w.t.Fatalf("SignIn(%q): %v", id, err)
	}
	return u
}

func (c *conn) tryJoin(r *Room, o JoinOptions) (Joined, error) {
	return c.l.shards.Join(c.Slot, c.Gen, r, o)
}

func (c *conn) join(r *Room) Joined {
	c.w.t.Helper()
	return c.joinWith(r, JoinOptions{})
}

func (c *conn) joinWith(r *Room, o JoinOptions) Joined {
	c.w.t.Helper()
	j, err := c.tryJoin(r, o)
	if err != nil {
		c.w.t.Fatalf("Join(%s): %v", r.ID(), err)
	}
	return j
}

func (c *conn) leave(r *Room) (last bool) {
	c.w.t.Helper()
	last, err := c.l.shards.Leave(c.Slot, r)
	if err != nil {
		c.w.t.Fatalf("Leave(%s): %v", r.ID(), err)
	}
	return last
}

func (c *conn) in(r *Room) bool { return c.l.shards.In(c.Slot, r) }

// expect demands that exactly these messages were delivered since the last call.
func (c *conn) expect(want ...string) {
	c.w.t.Helper()
	if !slices.Equal(c.got, want) {
		c.w.t.Errorf("%v got %q, want %q", c.Member, c.got, want)
	}
	c.got = nil
}

func (w *world) create(id string, o Options) *Room {
	w.t.Helper()
	r, err := w.Create(id, o)
	if err != nil {
		w.t.Fatalf("Create(%q): %v", id, err)
	}
	return r
}

// publish publishes and returns the receipt.
func (w *world) publish(r *Room, payload string, except ...Member) Receipt {
	w.t.Helper()
	got, err := w.tryPublish(r, Message{Payload: []byte(payload), Except: except})
	if err != nil {
		w.t.Fatalf("Publish(%s): %v", payload, err)
	}
	return got
}

// tryPublish publishes, and demands that done is called once, before Publish returns.
func (w *world) tryPublish(r *Room, m Message) (got Receipt, err error) {
	w.t.Helper()
	calls := 0
	r.Publish(m, func(receipt Receipt, e error) {
		calls++
		got, err = receipt, e
	})
	if calls != 1 {
		w.t.Fatalf("Publish called done %d times", calls)
	}
	return got, err
}

// text makes a message in both dialects.
func text(s string) Frames {
	return Frames{frame.Prepare(frame.OpText, []byte(s)), frame.Prepare(frame.OpText, []byte("~"+s))}
}

// payloads returns the texts of messages of a history.
func payloads(all []*frame.Prepared) []string {
	var s []string
	for _, p := range all {
		s = append(s, string(p.Payload()))
	}
	return s
}

func (w *world) is(err, want error, what string) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// worldClock is the clock of a world, which only the test moves.
type worldClock struct {
	clock.Clock
	w *world
}

// Now implements clock.Clock.
func (c worldClock) Now() int64 { return c.w.now.UnixNano() }

// Wall implements clock.Clock.
func (c worldClock) Wall() time.Time { return c.w.now }
