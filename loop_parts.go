//go:build linux

package perch

import (
	"fmt"
	"sync/atomic"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wire"
	"github.com/perchws/perch/poller"
	"github.com/perchws/perch/pool"
)

// cork gathers the answers of the connection whose event is being handled, so that
// they leave in one send.
type cork struct {
	buf    []byte
	of     uint32      // that connection, noSlot: none
	slot   *slot       // its slot
	head   int         // bytes of buf, at its start, that are no frame
	vector sock.Vector // of a send that is not in one piece
}

func newCork(maxOutput int) cork {
	return cork{of: noSlot, buf: make([]byte, 0, min(corkSize, max(maxOutput/2, minCork)))}
}

// room is how many bytes more it takes.
func (c *cork) room() int { return cap(c.buf) - len(c.buf) }

// input is what one event needs to read: one of each for all connections.
type input struct {
	events  []poller.Event
	buf     []byte // everything is read into it
	asm     frame.Assembler
	asmBuf  *pool.Buffer // the memory that asm uses
	parser  *handshake.Parser
	request Request
}

func newInput(heads handshake.Limits) input {
	return input{
		events: make([]poller.Event, eventBudget),
		buf:    make([]byte, 2*readBudget),
		parser: &handshake.Parser{Limits: heads},
	}
}

// tlsBuffers is what TLS connections share.
type tlsBuffers struct {
	records  []byte      // TLS records are read into it; nil until the first
	sealed   wire.Output // what crypto/tls has written for the connection at hand
	gathered []byte      // what is about to be sealed, if it is not in one piece
}

// compressing is what permessage-deflate needs.
type compressing struct {
	threshold int    // the least size in bytes of a message that is compressed for anybody
	codec     *codec // nil: no message has been compressed lately
}

// accepting is the loop's listener, and the connections over a limit.
type accepting struct {
	listener    int // −1: none, or closed
	interest    poller.Interest
	shares      bool  // the listener is one for all loops, and this loop has not left it
	pausedUntil int64 // accepting is paused until then; 0: it is not
	spares      spares
	overflow    overflow
}

// passing is the way of plain HTTP requests to net/http.
type passing struct {
	pair int // the loop's end of way; −1: none
	way  *passage
	kept []keptHTTP // plain HTTP that the full pair has refused
}

// keptHTTP is a connection that has its place, and is not passed yet.
type keptHTTP struct {
	Conn
	from limit.Address // see handoff
}

// batches is the way of messages to the worker pool.
type batches struct {
	ready   []pool.Job
	waiting map[uint32][]*work // by route; refused by its full queue in the worker pool
	spare   []*work
}

// calling is what is known of callbacks.
type calling struct {
	current uint32 // slot whose callback runs, noSlot: none
	unwound int    // callbacks that have called runtime.Goexit; counted with a private table alone
}

// begin notes that a callback of connection i begins. Race builds panic if another one
// is under way, as no callback runs inside a callback, or if the connection is closed:
// then OnClose alone may be called.
func (c *calling) begin(i uint32, s *slot) {
	if owner.Enabled && (s.state == stateClosed || s.state == stateFree) {
		panic(fmt.Sprintf("perch: a callback of connection %d, which is %v", i, s.state))
	}
	c.last(i)
}

// last is begin of OnClose.
func (c *calling) last(i uint32) {
	if owner.Enabled && c.current != noSlot {
		panic(fmt.Sprintf("perch: a callback of connection %d inside one of connection %d", i, c.current))
	}
	c.current = i
}

// end notes that it is over.
func (c *calling) end() { c.current = noSlot }

// clockHand is how far the sweep has come, and when it goes on.
type clockHand struct {
	at       uint32 // the slot at which the sweep goes on
	next     int64  // when the next sweep is due
	period   int64  // ns between sweeps
	wanted   int64  // the shortest period that a connection wants which the hand has met in this round
	nextTrim int64  // when the sweep trims next
}

// lists is the work of this tick, or left for the next. The spare ones are the lists'
// memory for the turn after.
type lists struct {
	dirty, flushing       []uint32 // slots to flush at the end of the tick
	resumed, spareResumed []Conn   // not paused any more: their kept input is due
	dead, spareDead       []uint32 // closed, to be reaped
	walking               walking  // a delivery that has been interrupted
}

// life is how far the loop's own end has come.
type life struct {
	running  bool // its end has not begun
	stopping bool
	stopped  bool
}

// thread is where the loop runs, while it does. Any goroutine may read it.
type thread struct {
	tid  atomic.Int64
	home owner.Home
}

// visible is what other goroutines may see of the loop.
type visible struct {
	stats   snapshot
	watched watched
	journal *closing.Journal
}
