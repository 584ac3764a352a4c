package conformance

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"github.com/perchws/perch/internal/puff"
)

const (
	// threshold is the length from which on the engine compresses a message by
	// default, if that makes it shorter.
	threshold = 1024
	// keptThreshold is the same where the context of what it compresses lives on, and
	// learns is the length up to which it may then send what is no shorter, by up to
	// investment bytes, so that the context learns.
	keptThreshold = 32
	learns        = 1024
	investment    = 4

	rsv1    = 4
	flushed = "\x00\x00\xff\xff" // is left off a message, RFC 7692 section 7.2.1
	final   = "\x01\x00\x00\xff\xff"
	history = 32 << 10 // what no window exceeds
)

// extensions is the header that permessage-deflate is negotiated in.
const extensions = "Sec-WebSocket-Extensions"

// A codec is the tester's end of permessage-deflate, with the standard library's
// compressor and, for small windows, the one of package puff.
type codec struct {
	out, in   flow
	threshold int // of the other end: see above
	w         *flate.Writer
	packed    bytes.Buffer
	r         io.ReadCloser
}

// A flow is one direction: what was agreed on it, and what was sent so far.
type flow struct {
	takeover bool
	window   int // bits
	said     []byte
}

func (f *flow) push(p []byte) {
	if f.takeover {
		f.said = append(f.said, p...)
		f.said = append([]byte(nil), f.said[max(0, len(f.said)-history):]...)
	}
}

// reachable is what a message may refer to.
func (f *flow) reachable() []byte { return f.said[max(0, len(f.said)-1<<f.window):] }

// compress makes the payload of a message of p. It does whatever p is: a receiver
// takes what is longer than before, too.
func (z *codec) compress(p []byte) []byte {
	if z.out.window < 15 {
		out := puff.Compress(p, z.out.reachable(), z.out.window)
		z.out.push(p)
		return out
	}
	z.packed.Reset()
	switch {
	case z.w == nil:
		z.w, _ = flate.NewWriter(&z.packed, flate.DefaultCompression)
	case !z.out.takeover:
		z.w.Reset(&z.packed)
	}
	z.w.Write(p)
	z.w.Flush()
	return bytes.Clone(bytes.TrimSuffix(z.packed.Bytes(), []byte(flushed)))
}

// inflate reads the payload of a message, and holds its sender to the agreement.
func (z *codec) inflate(p []byte) ([]byte, error) {
	before := z.in.reachable()
	in := bytes.NewReader([]byte(string(p) + flushed + final))
	if z.r == nil {
		z.r = flate.NewReader(nil)
	}
	z.r.(flate.Resetter).Reset(in, before)
	out, err := io.ReadAll(z.r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not to be inflated within the agreement (window %d, takeover %t): %w", z.in.window, z.in.takeover, err)
	case in.Len() != 0:
		return nil, errors.New("a final block within a message")
	}
	if z.in.window < 15 { // the format itself allows no distance beyond 15 bits
		m, err := puff.Inflate(p, before)
		switch {
		case err != nil || !bytes.Equal(m.Payload, out):
			return nil, errors.New("two inflaters read two things")
		case m.Farthest > 1<<z.in.window:
			return nil, fmt.Errorf("refers %d bytes back, the window is %d", m.Farthest, 1<<z.in.window)
		}
	}
	z.in.push(out)
	return out, nil
}
