//go:build linux

package perch

import (
	"sync"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/pool"
	"github.com/perchws/perch/room"
)

// postKind says what a post asks of the loop.
type postKind uint8

const (
	postSend       postKind = iota // data is the message
	postPrepared                   // prepared
	postClose                      // code, data is the reason
	postDo                         // do, on the connection
	postRoom                       // delivery
	postTakeover                   // takeover is an upgrade, its socket is in the pair
	postDone                       // work is finished by a worker
	postSpace                      // the route that is slot has space again in the worker pool
	postDial                       // dial begins
	postResolved                   // the address to dial is known
	postCancel                     // the dial's context has ended
	postPanic                      // a handler on a worker panicked
	postTLSOutput                  // data is a TLS handshake's output
	postTLSReadOn                  // a TLS handshake has read all there was
	postTLSDone                    // a TLS handshake is over
	postTLSStalled                 // a TLS handshake has kept others waiting for too long
	postTLSTurn                    // do begins a TLS handshake; its Conn is zero if the connection has ended
	postReserved                   // do sends the response to a request for a reserved path
	postSnapshot                   // publish the counters
	postShutdown                   // 1001 to everyone
	postAbort                      // reset everyone
)

// post is one message to a loop. slot and gen name the connection, where there
// is one.
type post struct {
	kind      postKind
	op        Opcode
	code      CloseCode
	slot, gen uint32
	off, size int    // of data, in the mailbox's arena
	own       []byte // or data by itself, with room for a header before it
	cost      int64  // that it is charged with, in all; 0: it is not counted
	share     int64  // the same, of its connection
	prepared  *Prepared
	delivery  *room.Delivery
	do        func(Conn)
	work      *work
	dial      *dialing
	takeover  *takeover
	done      chan struct{}
}

// mailbox is how everyone else talks to a loop: a mutex, a slice and an arena
// for the bytes of small messages, swapped as a whole. No allocation in the
// long run.
type mailbox struct {
	mu     sync.Mutex
	posts  []post
	arena  []byte
	closed bool
	last   *Prepared // of posts: the message whose bytes are counted once for a run of posts

	// Owned by the loop.
	taken      []post
	takenArena []byte
	next       int // taken before it are done
}

// maxArena bounds the arena, in bytes, and ownSize is from how many on data has memory
// of its own all the same, which then goes on to the outbox. keepPosts is the longest
// list that is kept for reuse.
const (
	maxArena  = 1 << 20
	ownSize   = 16 << 10
	keepPosts = 16 << 10
)

// put queues p, a post of our own, with a copy of data, and wakes the loop if it
// sleeps. Any goroutine. Error: ErrClosed when the loop has ended.
func (l *loop) put(p post, data []byte) error { return l.enqueue(&p, data, false) }

// enqueue queues a post. counted: it is what a program asks of a connection, which may be refused with ErrOverloaded.
// Any goroutine.
func (l *loop) enqueue(p *post, data []byte, counted bool) error {
	m := &l.mail
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	if counted {
		p.weigh(len(data), m.last)
		if err := l.srv.output.charge(p, l.slab.posted.At(p.slot)); err != nil {
			m.mu.Unlock()
			return err
		}
		if p.kind == postPrepared {
			m.last = p.prepared
		}
	}
	if len(data) < ownSize && len(m.arena)+len(data) <= maxArena {
		p.off, p.size = len(m.arena), len(data)
		m.arena = append(m.arena, data...)
	} else {
		p.own = append(make([]byte, frame.MaxHeaderSize, frame.MaxHeaderSize+len(data)), data...)
	}
	m.posts = append(m.posts, *p)
	m.mu.Unlock()
	l.poller.Wake()
	return nil
}

// weigh sets what the post is charged with. last is the message that was posted before it, whose bytes are counted
// already.
func (p *post) weigh(data int, last *Prepared) {
	p.share = postCost + int64(data)
	p.cost = p.share
	switch p.kind {
	case postDo:
		p.share += callCost
		p.cost = p.share
	case postPrepared:
		p.share += int64(len(p.prepared.Bytes()))
		if p.prepared != last {
			p.cost = p.share
		}
	}
}

// data is what was posted.
func (m *mailbox) data(p *post) []byte {
	if p.own != nil {
		return p.own[frame.MaxHeaderSize:]
	}
	return m.takenArena[p.off : p.off+p.size : p.off+p.size]
}

// waiting reports that there is something to take.
func (m *mailbox) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.posts) > 0
}

// take swaps the queue out; the posts taken before must be done with.
func (m *mailbox) take() {
	clear(m.taken)
	if owner.Enabled {
		pool.Poison(m.takenArena)
	}
	if cap(m.taken) > keepPosts {
		m.taken = nil
	}
	m.mu.Lock()
	m.taken, m.posts = m.posts, m.taken[:0]
	m.takenArena, m.arena = m.arena, m.takenArena[:0]
	m.last = nil
	m.mu.Unlock()
	m.next = 0
}

// drainMailbox carries out posts, up to the budget. It reports whether some
// are left.
func (l *loop) drainMailbox() bool {
	l.own.Check()
	l.doing.enter(phaseMailbox)
	m := &l.mail
	if w := l.lists.walking; w.d != nil {
		l.lists.walking = walking{}
		l.walk(w)
	}
	for budget := postBudget; budget > 0; budget-- {
		if m.next == len(m.taken) {
			if m.take(); len(m.taken) == 0 {
				return false
			}
		}
		p := &m.taken[m.next]
		m.next++
		if p.kind == postRoom {
			budget -= l.deliverRoom(p.delivery) / stretch
			continue
		}
		if p.cost != 0 {
			l.srv.output.discharge(p, l.slab.posted.At(p.slot))
		}
		if p.kind == postSend || p.kind == postPrepared {
			l.sendPosted(p, m.data(p))
		} else {
			l.carryOut(p, m.data(p))
		}
		p.own, p.prepared, p.do = nil, nil, nil // the rest of a long list may take a while
	}
	return true
}

// carryOut does what one post asks of the loop, or of a connection.
func (l *loop) carryOut(p *post, data []byte) {
	l.own.Check()
	switch p.kind {
	case postSpace:
		l.submitWaiting(p.slot)
	case postDial:
		l.dial(p.dial)
	case postTakeover:
		l.takeoverArrived(p.takeover)
	case postTLSTurn:
		l.tlsTurnCame(p)
	case postSnapshot:
		l.publishStats()
		close(p.done)
	case postShutdown:
		l.shutdown()
	case postAbort:
		if done := p.done; done != nil {
			defer close(done) // whatever OnClose does
		}
		l.abortAll()
		l.reap()
	default:
		// A stale handle is not an error: the connection closed first.
		if s := l.slab.at(p.slot); s.gen.Load() == p.gen {
			l.carryOutFor(p.slot, s, p, data)
		}
	}
}

// carryOutFor does what one post asks of a connection that has not been reaped.
func (l *loop) carryOutFor(i uint32, s *slot, p *post, data []byte) {
	l.own.Check()
	l.doing.on(i)
	switch p.kind {
	case postDone:
		l.workDone(i, s, p.work)
		return
	case postResolved:
		l.connect(i, s, p.dial)
		return
	case postCancel:
		l.cancelDial(i, s, p.dial)
		return
	case postPanic:
		l.workPanicked(i, s)
		return
	case postTLSOutput, postTLSReadOn, postTLSDone, postTLSStalled:
		l.tlsHandshakePosted(i, s, p.kind, data)
		return
	case postReserved:
		p.do(l.conn(i, s))
		return
	}
	if s.state != stateOpen {
		return
	}
	switch p.kind {
	case postClose:
		l.closeOpen(i, s, &CloseError{Code: p.code, Reason: string(data)})
	case postDo:
		l.callDo(i, s, p.do)
	}
}

// close takes no more posts; the loop carries out what is there.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
