package bench

import (
	"bytes"
	"sync/atomic"

	"github.com/perchws/perch"
)

// publisher is a connection that publishes.
type publisher struct {
	*member
	load     *fanLoad
	index    int // among the publishers
	greeting Greeting
	acked    bool

	// Owned by who publishes: the pacer, or who has set waiting to 0.
	out template

	// Atomic: any goroutine.
	published atomic.Uint64
	waiting   atomic.Uint64 // without a rate: publications, the last of which has not reached everyone; 0: someone goes on
}

func (p *publisher) open(c perch.Conn) { p.greeting.hello(p.member, c) }

// message ignores what publishers get, their own messages too.
func (p *publisher) message(_ perch.Conn, _ perch.Opcode, b []byte) {
	p.greeting.heard(p.member, b, &p.acked)
}

// publish sends the next message; ts is its time. Without a rate it sends more
// as long as each has reached everyone by then.
func (p *publisher) publish(ts int64) {
	for {
		k := p.published.Load()
		seq := k*uint64(p.load.Pubs) + uint64(p.index)
		slot := p.load.slot(seq)
		slot.seq.Store(seq)
		slot.ts.Store(ts)
		slot.count.Store(0)
		p.published.Store(k + 1)
		if p.ref.Send(perch.Text, p.out.put(seq, ts)) != nil {
			p.published.Store(k) // it is closed, and its end has told
			return
		}
		if p.load.Rate > 0 {
			return
		}
		p.waiting.Store(k + 1)
		if slot.count.Load() < uint64(p.load.alive.Load()) || !p.next(k+1) {
			return
		}
		ts = p.load.run.now()
	}
}

// next reports that the caller, and nobody else, is to go on after k
// publications.
func (p *publisher) next(k uint64) bool {
	return p.load.run.sending.Load() && p.waiting.CompareAndSwap(k, 0)
}

// fanCache is what the subscribers of an engine know about messages that one of
// them has verified: the same bytes need no second look. Owned by the loop.
type fanCache struct {
	form    template // to build what is expected
	hint    int      // where the marker was
	padHint int      // where the padding was
	last    [16]struct {
		mark
		text []byte
	}
}

// verify reports whether p is a publication of mark m, unchanged.
func (f *fanCache) verify(o *fanLoad, m mark, p []byte) bool {
	known := &f.last[m.seq%uint64(len(f.last))]
	if known.mark == m && bytes.Equal(known.text, p) {
		return true
	}
	pub, k := m.seq%uint64(o.Pubs), m.seq/uint64(o.Pubs)
	slot := o.slot(m.seq)
	if k >= o.pubs[pub].published.Load() || slot.seq.Load() == m.seq && slot.ts.Load() != m.ts {
		return false
	}
	if o.Exact {
		if !bytes.Equal(f.form.put(m.seq, m.ts), p) {
			return false
		}
	} else if pad := f.form.pad; len(p) < f.padHint+len(pad) || !bytes.Equal(p[f.padHint:f.padHint+len(pad)], pad) {
		at := bytes.Index(p, pad)
		if at < 0 {
			return false
		}
		f.padHint = at
	}
	known.mark, known.text = m, append(known.text[:0], p...)
	return true
}

// subscriber is a connection that must get everything.
type subscriber struct {
	*member
	load  *fanLoad
	acked bool
	seqs  []sequence // of each publisher
	here  bool       // when the load began; set before
}

func (s *subscriber) open(c perch.Conn) { s.load.hello(s.member, c) }

func (s *subscriber) message(_ perch.Conn, op perch.Opcode, p []byte) {
	o, r, seen := s.load, s.e.run, &s.load.seen[s.e.index]
	if !o.begun.Load() { // greetings, and perhaps what was published in other runs
		o.heard(s.member, p, &s.acked)
		return
	}
	m, at, ok := findMarker(p, seen.hint)
	if !ok {
		o.heard(s.member, p, &s.acked)
		if o.Exact {
			r.faults.add(Corrupt, 1, "subscriber %d: no publication: %v, %d bytes: %.80q", s.index, op, len(p), p)
		}
		return
	}
	seen.hint = at
	if op != perch.Text || !seen.verify(o, m, p) {
		r.faults.add(Corrupt, 1, "subscriber %d, message %d: %v, %d bytes: %.80q", s.index, m.seq, op, len(p), p)
		return
	}
	pub, k := o.pubs[m.seq%uint64(o.Pubs)], m.seq/uint64(o.Pubs)
	switch s.seqs[pub.index].add(k) {
	case twice:
		r.faults.add(Duplicate, 1, "subscriber %d: message %d again", s.index, m.seq)
		return
	case late:
		r.faults.add(Reordered, 1, "subscriber %d: message %d late", s.index, m.seq)
	}
	// Counted at the end, when what follows it is published: else all could seem
	// delivered in between.
	defer s.e.answered.Add(1)
	now := r.now()
	measuring := r.measuring(now)
	if o.Rate > 0 { // what was due in the interval counts, whenever it comes
		measuring = r.measuring(m.ts)
	}
	if measuring {
		s.e.latency.add(now - m.ts)
	}
	slot := o.slot(m.seq)
	if slot.seq.Load() != m.seq || slot.count.Add(1) != uint64(o.alive.Load()) {
		return
	}
	if measuring {
		s.e.second.add(now - m.ts)
	}
	if o.Rate == 0 && pub.next(k+1) {
		pub.publish(now)
	}
}
