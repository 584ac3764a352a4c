package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Fanout has publishers send messages that must reach all subscribers, once and
// in the order of each publisher.
type Fanout struct {
	Target
	Greeting          // of the subscribers
	PubHello []string // of the publishers
	Pubs     int
	Size     int     // of a message in bytes, as far as Template has {pad}
	Template string  // of what is published, see newTemplate: m={seq},{ts} {pad}
	Exact    bool    // what arrives is the published text and nothing else; otherwise it is somewhere in it
	Rate     float64 // publications per second in all; 0: each follows when the one before has reached everyone
	Settle   time.Duration
}

const (
	maxPubs = 64
	// fanSlots is how many publications can be under way and be counted.
	fanSlots = 1 << 16
	// fanPatience is how long a publication may take to reach everyone before the
	// next follows nonetheless.
	fanPatience = 2 * time.Second
)

// Run connects, publishes, verifies and closes; see Echo.Run. Latency is that of
// every delivery, Second of the last one of each publication.
func (o Fanout) Run(ctx context.Context) (*Result, error) {
	form, err := newTemplate(o.Template, o.Size, o.Words)
	switch {
	case err != nil:
		return nil, err
	case o.Pubs < 1 || o.Pubs > maxPubs:
		return nil, fmt.Errorf("%d publishers: want 1 to %d", o.Pubs, maxPubs)
	case o.Size < 0 || o.Size > maxMessage || o.Rate < 0 || o.Settle < 0:
		return nil, fmt.Errorf("size %d, rate %v, settle %v: want 0 or more", o.Size, o.Rate, o.Settle)
	}
	load := &fanLoad{Fanout: o, form: form}
	r, err := newRun(&o.Target, o.Conns+o.Pubs, 0, load.newClient)
	if err != nil {
		return nil, err
	}
	load.run = r
	for range r.engines {
		load.seen = append(load.seen, fanCache{form: form.clone()})
	}
	r.connect(ctx)
	opened := load.countAlive()
	r.settle(ctx, &o.Greeting, opened, o.Settle)
	if !load.ready() {
		r.stop()
		return r.result("fanout", opened, interval{}), nil
	}
	span, err := r.measure(ctx, "fanout", func() {
		load.begun.Store(true)
		r.sending.Store(true)
		r.watch = load.hurry
		if o.Rate > 0 {
			load.paced.start(r, o.Rate, len(load.pubs), func(k int, _ uint64, due int64) { load.pubs[k].publish(due) })
			return
		}
		for _, p := range load.pubs {
			p.publish(r.now())
		}
	})
	r.sending.Store(false)
	r.watch = nil
	unsent := load.paced.wait()
	r.wait(context.WithoutCancel(ctx), o.Drain, load.delivered, "draining")
	r.close()
	if err != nil {
		return nil, err
	}
	load.countLost()
	res := r.result("fanout", opened, span)
	res.Size, res.Offer, res.Unsent = len(form.text), o.Rate, unsent
	for _, p := range load.pubs {
		res.Sent += p.published.Load()
	}
	res.Latency = new(latency(r.histograms()...))
	var last []histogram
	for _, e := range r.engines {
		last = append(last, e.second)
	}
	res.Second = new(latency(last...))
	res.rates(res.Latency.Count, uint64(res.Size), span)
	if o.Rate > 0 {
		res.SendDelay = new(latency(load.paced.delay))
	}
	return res, nil
}

// fanLoad is what the connections of a run share.
type fanLoad struct {
	Fanout
	run   *run
	form  template // read by all
	paced pacer
	subs  []*subscriber
	pubs  []*publisher
	seen  []fanCache // one for each engine
	ended int64      // connections, when hurry looked last

	// Atomic: any goroutine.
	begun atomic.Bool  // publications may come
	alive atomic.Int64 // subscribers that are open
	slots [fanSlots]fanSlot
}

// fanSlot is one publication. Any goroutine.
type fanSlot struct {
	seq, count atomic.Uint64
	ts         atomic.Int64
}

// newClient makes the members: subscribers, then publishers.
func (o *fanLoad) newClient(m *member) client {
	if m.index < o.Conns {
		s := &subscriber{member: m, load: o, seqs: make([]sequence, o.Pubs)}
		o.subs = append(o.subs, s)
		return s
	}
	p := &publisher{member: m, load: o, index: len(o.pubs), greeting: Greeting{Hello: o.PubHello}, out: o.form.clone()}
	o.pubs = append(o.pubs, p)
	return p
}

// countAlive leaves out who did not connect: from now on all that are here must
// get everything.
func (o *fanLoad) countAlive() (n int) {
	for _, s := range o.subs {
		if s.here = s.state.Load() == memberOpen; s.here {
			n++
		}
	}
	o.alive.Store(int64(n))
	return n
}

// ready reports that there is someone to publish and someone to hear it.
func (o *fanLoad) ready() bool {
	for _, p := range o.pubs {
		if p.state.Load() != memberOpen {
			return false
		}
	}
	return o.alive.Load() > 0
}

// hurry goes on with publications that have waited long enough, or for
// subscribers that are gone.
func (o *fanLoad) hurry() {
	var ended int64
	for _, e := range o.run.engines {
		ended += e.ended.Load()
	}
	if ended != o.ended {
		o.ended = ended
		alive := int64(0)
		for _, s := range o.subs {
			if s.here && s.state.Load() == memberOpen {
				alive++
			}
		}
		o.alive.Store(alive)
	}
	now := o.run.now()
	for _, p := range o.pubs {
		k := p.waiting.Load()
		if k == 0 {
			continue
		}
		slot := o.slot((k-1)*uint64(o.Pubs) + uint64(p.index))
		ts := slot.ts.Load()
		complete := slot.count.Load() >= uint64(o.alive.Load())
		if (complete || now-ts > int64(fanPatience)) && p.next(k) {
			if !complete {
				o.run.faults.add(Timeout, 1, "publication %d of publisher %d did not reach every subscriber within %v", k-1, p.index, fanPatience)
			}
			p.publish(now)
		}
	}
}

// delivered reports that everything has reached everyone.
func (o *fanLoad) delivered() (bool, float64) {
	var want, got uint64
	for _, p := range o.pubs {
		want += p.published.Load() * uint64(o.alive.Load())
	}
	for _, e := range o.run.engines {
		got += e.answered.Load()
	}
	return got >= want, float64(got) / float64(max(want, 1))
}

// countLost counts what never came. The engines have stopped.
func (o *fanLoad) countLost() {
	for _, s := range o.subs {
		for i, p := range o.pubs {
			if n := s.seqs[i].missing(p.published.Load()); s.here && n > 0 {
				o.run.faults.add(Lost, n, "subscriber %d: %d of %d messages of publisher %d never came", s.index, n, p.published.Load(), i)
			}
		}
	}
}

func (o *fanLoad) slot(seq uint64) *fanSlot { return &o.slots[seq%fanSlots] }
