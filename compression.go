//go:build linux

package perch

import (
	"errors"
	"fmt"
	"math"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
	"github.com/perchws/perch/handshake"
)

// Compression is permessage-deflate (RFC 7692): the terms to which a server agrees, and which a client offers. The zero
// value is on, for messages from 1 KiB, and keeps nothing for a connection between two messages. A loop that compresses
// takes 0.8 MB, and 1.1 MB for each smaller window that clients ask for.
//
// With takeover a connection keeps the last bytes that were compressed in that direction: all of them, up to the size
// of the window, which is 32 KiB with 15 bits. For our direction it keeps an index of the same size as well. Short
// messages, up to 1 KiB, gain most: a chat's JSON of 100 bytes becomes 10, in less than a microsecond. Before a longer
// message the compressor reads the window again, which costs time: half as much again with 12 bits, five times as much
// with 15. A short message to many is compressed for each such connection by itself. A peer is never made to keep a
// context, only allowed to.
type Compression struct {
	Disabled bool // never agreed to, never offered

	// Threshold is the size in bytes from which a message is compressed, if that makes it shorter: 1024, or 32 where we
	// keep our context. −1: every message.
	Threshold int

	ServerTakeover, ClientTakeover bool // the sender keeps its context from message to message, if both sides want it

	// The largest LZ77 windows of the server's and the client's compressor: 9 to 15 bits; 15. Where a server keeps
	// contexts, 0 means that it uses 12 of 15 bits.
	ServerWindow, ClientWindow int

	takeoverThreshold int // Threshold where we keep our context; set by withDefaults
}

// defaultTakeoverWindow is the window that we use where a context is kept and no other window was asked for. Larger
// ones gain little and cost a lot: see package deflate.
const defaultTakeoverWindow = 12

// withDefaults gives zero fields their meaning, except for windows: 0 still means there that no window was asked for.
func (c Compression) withDefaults() (Compression, error) {
	var errs []error
	switch {
	case c.Threshold == 0:
		c.Threshold, c.takeoverThreshold = 1024, 32
	case c.Threshold == -1:
		c.Threshold = 1
	case c.Threshold < -1:
		errs = append(errs, fmt.Errorf("Compression.Threshold: %d is neither a size nor -1 (every message)", c.Threshold))
	}
	if c.takeoverThreshold == 0 {
		c.takeoverThreshold = c.Threshold
	}
	for _, w := range []struct {
		key  string
		bits int
	}{{"ServerWindow", c.ServerWindow}, {"ClientWindow", c.ClientWindow}} {
		if !(handshake.Deflate{ServerWindow: w.bits}).Valid() {
			errs = append(errs, fmt.Errorf("Compression.%s: %d is not within 9..15 bits", w.key, w.bits))
		}
	}
	return c, errors.Join(errs...)
}

// least is the lowest threshold of all connections that we serve.
func (c Compression) least() int {
	if c.ServerTakeover {
		return min(c.Threshold, c.takeoverThreshold)
	}
	return c.Threshold
}

// wanted converts c for the handshake.
func (c Compression) wanted() handshake.Deflate {
	return handshake.Deflate{
		ServerTakeover: c.ServerTakeover, ClientTakeover: c.ClientTakeover,
		ServerWindow: c.ServerWindow, ClientWindow: c.ClientWindow,
	}
}

// compressedLimits are l for connections that may send compressed messages. A compressed message may be longer than the
// plain one, by as much as zlib can make it.
func compressedLimits(l frame.Limits) frame.Limits {
	l.RSV = frame.RSV1
	l.MaxRSV = math.MaxInt64
	if n := l.MaxMessage; n < math.MaxInt64/2 {
		l.MaxRSV = n + n/8 + n/64 + 64
	}
	return l
}

// agreed is the agreement on permessage-deflate of one connection, in the one byte that a slot has for it: our window
// in bits, less 8, and the flags below. 0: not agreed.
type agreed uint8

const (
	agreedWindow  agreed = 7
	agreedDeflate agreed = 8  // always set
	agreedOurs    agreed = 16 // we keep our context: windows.out
	agreedTheirs  agreed = 32 // the peer keeps its context: windows.in
)

// window is our window, in bits.
func (a agreed) window() int { return int(a&agreedWindow) + 8 }

// windows are the contexts that a connection keeps with context takeover.
type windows struct {
	out, in *deflate.Window
}

// agree starts permessage-deflate on a connection.
func (l *loop) agree(i uint32, s *slot, d handshake.Deflate, asked Compression) {
	l.own.Check()
	ours, theirs := d.ServerTakeover, d.ClientTakeover
	out, in, given := d.ServerWindow, d.ClientWindow, asked.ServerWindow
	if s.flags&flagClient != 0 {
		ours, theirs = theirs, ours
		out, in, given = in, out, asked.ClientWindow
	}
	if ours && given == 0 {
		out = min(out, defaultTakeoverWindow)
	}
	s.flags |= flagDeflate
	s.agreed = agreedDeflate | agreed(out-8)
	if !ours && !theirs {
		return
	}
	var w windows
	if ours {
		s.agreed |= agreedOurs
		w.out = deflate.NewWindow(out)
	}
	if theirs {
		s.agreed |= agreedTheirs
		w.in = deflate.NewWindow(in)
	}
	l.slab.windows.Set(i, w)
}
