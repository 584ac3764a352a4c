package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
)

// Chat has users talk at perchd's /ws/chat. Each says who it is and joins a
// room; then they type and post in turn, and after some messages leave for
// another room. Everybody in a room must get every message once, in the order of
// the offsets and the same as everyone else.
type Chat struct {
	Target
	Rooms  int     // how many; of Conns users in turn
	Size   int     // of a message's content in bytes
	Rate   float64 // messages per second in all
	Typing bool    // typing before each message
	Stay   int     // messages that a user posts before it changes the room; 0: for ever
	Settle time.Duration
}

// chatQuiet is how long nothing must have come for all to have arrived.
const chatQuiet = 100 * time.Millisecond

// Run connects, joins, talks, verifies and closes; see Echo.Run. Latency is that
// of every delivery, Second that of the acknowledgements.
func (o Chat) Run(ctx context.Context) (*Result, error) {
	form, err := newTemplate("m={seq},{ts} {pad}", o.Size, o.Words)
	switch {
	case err != nil:
		return nil, err
	case o.Rooms < 1 || o.Rooms > o.Conns:
		return nil, fmt.Errorf("%d rooms for %d users: want 1 at least, and a user for each", o.Rooms, o.Conns)
	case o.Size < 0 || o.Size > maxMessage || o.Rate <= 0 || o.Stay < 0 || o.Settle < 0:
		return nil, fmt.Errorf("size %d, rate %v, stay %d, settle %v: want 0 or more, and a rate", o.Size, o.Rate, o.Stay, o.Settle)
	}
	load := &chatLoad{Chat: o, form: form, rooms: make([]chatRoom, o.Rooms)}
	tag := strconv.FormatInt(time.Now().UnixNano(), 36) // rooms of an earlier run are others
	for i := range load.rooms {
		load.rooms[i].name = fmt.Sprintf("bench-%s-%d", tag, i)
	}
	var users []*chatUser
	r, err := newRun(&o.Target, o.Conns, 0, func(m *member) client {
		u := &chatUser{member: m, load: load, wants: m.index % o.Rooms}
		users = append(users, u)
		return u
	})
	if err != nil {
		return nil, err
	}
	load.run = r
	for range r.engines {
		load.seen = append(load.seen, chatCache{form: form.clone()})
	}
	opened := r.connect(ctx)
	users = slices.DeleteFunc(users, func(u *chatUser) bool { return u.state.Load() != memberOpen })
	if !load.enter(ctx, users) {
		r.stop()
		return r.result("chat", opened, interval{}), nil
	}
	r.settle(ctx, &Greeting{}, 0, o.Settle)
	span, err := r.measure(ctx, "chat", func() {
		r.sending.Store(true)
		load.paced.start(r, o.Rate, len(users), func(k int, n uint64, due int64) {
			u, seq := users[k], n*uint64(len(users))+uint64(k)
			load.posted.Store(seq + 1)
			u.e.sent.Add(1)
			if u.ref.Do(func(c perch.Conn) { u.post(c, mark{seq, due}) }) != nil {
				u.e.sent.Add(^uint64(0)) // it is closed, and its end has told
			}
		})
	})
	r.sending.Store(false)
	unsent := load.paced.wait()
	r.wait(context.WithoutCancel(ctx), o.Drain, load.quiet(), "draining")
	r.close()
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		u.finish()
	}
	res := r.result("chat", opened, span)
	res.Size, res.Offer, res.Unsent = len(form.text), o.Rate, unsent
	var acks []histogram
	for _, e := range r.engines {
		res.Sent += e.sent.Load()
		acks = append(acks, e.second)
	}
	res.Latency, res.Second, res.SendDelay = new(latency(r.histograms()...)), new(latency(acks...)), new(latency(load.paced.delay))
	res.rates(res.Latency.Count, uint64(res.Size), span)
	return res, nil
}

// chatLoad is what the users of a run share.
type chatLoad struct {
	Chat
	run   *run
	form  template
	paced pacer
	rooms []chatRoom
	seen  []chatCache // one for each engine

	// Atomic: any goroutine.
	posted atomic.Uint64 // messages that may come
}

// chatRoom is a room as its members have seen it. Any goroutine.
type chatRoom struct {
	name string

	mu   sync.Mutex
	last uint64 // the highest offset seen
	ring [1024]struct {
		offset uint64
		mark   mark
	}
}

// agree takes note that the message of an offset is m, and reports whether it
// was for the others too.
func (r *chatRoom) agree(offset uint64, m mark) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = max(r.last, offset)
	known := &r.ring[offset%uint64(len(r.ring))]
	if known.offset == offset {
		return known.mark == m
	}
	if known.offset < offset {
		known.offset, known.mark = offset, m
	}
	return true
}

// enter lets the users say who they are and join: the first of each room ahead
// of the others, for it makes the room. It reports whether all are in.
func (o *chatLoad) enter(ctx context.Context, users []*chatUser) bool {
	in := func(n int) bool {
		return o.run.wait(ctx, o.ConnectTimeout, func() (bool, float64) {
			got := 0
			for _, e := range o.run.engines {
				got += int(e.greeted.Load())
			}
			return got >= n, float64(got) / float64(max(n, 1))
		}, "joining")
	}
	made := make(map[int]bool)
	var first, others []*chatUser
	for _, u := range users {
		if made[u.wants] {
			others = append(others, u)
		} else {
			made[u.wants] = true
			first = append(first, u)
		}
	}
	entered := 0
	for _, batch := range [][]*chatUser{first, others} {
		for _, u := range batch {
			u.ref.Do(u.greet)
		}
		if entered += len(batch); !in(entered) {
			if ctx.Err() == nil {
				o.run.faults.add(Timeout, 1, "not all users were in their rooms within %v", o.ConnectTimeout)
			}
			return false
		}
	}
	return entered > 0
}

// quiet is a condition: all is acknowledged and nothing has come for chatQuiet.
func (o *chatLoad) quiet() func() (bool, float64) {
	var last uint64
	since := time.Now()
	return func() (bool, float64) {
		var sent, acked, others uint64
		for _, e := range o.run.engines {
			sent, acked, others = sent+e.sent.Load(), acked+e.answered.Load(), others+e.others.Load()
		}
		if others != last {
			last, since = others, time.Now()
		}
		return acked >= sent && time.Since(since) >= chatQuiet, float64(acked) / float64(max(sent, 1))
	}
}

// room is the room of a name; nil if it is none of ours.
func (o *chatLoad) room(name string) *chatRoom {
	for i := range o.rooms {
		if o.rooms[i].name == name {
			return &o.rooms[i]
		}
	}
	return nil
}

func userName(i int) string { return fmt.Sprintf("bench%07d", i) }
