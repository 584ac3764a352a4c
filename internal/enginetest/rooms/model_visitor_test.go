//go:build linux

package rooms_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// actor is somebody who comes and goes, and remembers what was seen.
type actor struct {
	user    string // "": nobody in particular
	visitor *visitor

	mu   sync.Mutex
	seen map[string]room.Position // by room
}

// visitor is one connection of the model test. It holds what it is sent against
// what it was told.
type visitor struct {
	*wstest.Conn
	model   *model
	who     *actor
	k, user string
	dialect string
	over    chan struct{} // closed when nothing more is read

	mu      sync.Mutex
	gate    *sync.Cond // stopped may have changed
	stopped bool       // it does not read
	ending  bool       // by its own doing: whatever comes
	seq     int
	asked   map[string]request
	in      map[string]*membership // by life
	ended   map[string]bool        // lives whose end it has seen
	direct  map[string]int         // the latest of a publisher's direct messages
	lives   string                 // the latest answer to "rooms"
	trace   []string               // what came and went lately
}

// request is what was asked and not answered yet.
type request struct {
	verb, room string
	since      room.Position
	recent     uint64
}

// membership is what a visitor knows of a room that it is in.
type membership struct {
	room, epoch string
	next        uint64         // offset of the next message
	given       int            // how many of the next come with the join: all of them, in order
	recent      bool           // these are in dialect 0, whoever asks
	count       int            // members, as last told
	latest      map[string]int // the latest of a publisher's messages
}

// ask sends a request.
func (c *visitor) ask(r request, args ...any) {
	c.mu.Lock()
	c.seq++
	seq := strconv.Itoa(c.seq)
	c.asked[seq] = r
	line := r.verb + " " + seq
	for _, a := range args {
		line += fmt.Sprint(" ", a)
	}
	c.note("> ", line)
	c.mu.Unlock()
	c.TrySend(wstest.Text(line)) // that it is gone is seen by read
}

// note keeps the last lines for who looks for a fault. c.mu is held.
func (c *visitor) note(way, line string) {
	if len(line) > 80 {
		line = line[:80] + "…"
	}
	if c.trace = append(c.trace, way+line); len(c.trace) > 60 {
		c.trace = c.trace[20:]
	}
}

// fault reports what should not have happened. c.mu is held.
func (c *visitor) fault(format string, args ...any) {
	c.model.Fault("visitor %s: %s\n\t%s", c.k, fmt.Sprintf(format, args...), strings.Join(c.trace, "\n\t"))
}

// read reads until the end.
func (c *visitor) read() {
	defer close(c.over)
	defer c.Conn.Close()
	for {
		c.mu.Lock()
		for c.stopped {
			c.gate.Wait()
		}
		c.mu.Unlock()
		f, err := c.Next()
		c.mu.Lock()
		code, _ := f.CloseInfo()
		switch {
		case err == nil && f.Op == perch.Text:
			c.note("< ", string(f.Payload))
			c.take(string(f.Payload))
			c.mu.Unlock()
			continue
		case c.ending || c.model.ending.Load():
		case err == nil && f.Op == frame.OpClose && code == perch.CloseSlowConsumer && c.model.slow:
			c.model.tooSlow.Add(1)
		default:
			c.fault("the end is %v, %v", f, err)
		}
		for life := range c.in {
			c.remember(life)
		}
		c.ending = true
		c.mu.Unlock()
		return
	}
}

// remember takes a membership away; what was seen stays known.
func (c *visitor) remember(life string) {
	m := c.in[life]
	delete(c.in, life)
	c.who.mu.Lock()
	defer c.who.mu.Unlock()
	c.who.seen[m.room] = room.Position{Epoch: m.epoch, Offset: m.next - 1}
}

// take acts on one line. c.mu is held.
func (c *visitor) take(line string) {
	f := strings.Fields(line)
	if line[0] > '9' {
		r, ok := c.asked[f[1]]
		if !ok {
			c.fault("%q answers nothing", line)
			return
		}
		delete(c.asked, f[1])
		c.answered(r, f)
		return
	}
	kind := f[0][1:]
	if kind == "u" || kind == "a" {
		n, _ := strconv.Atoi(f[3])
		if f[1] != c.user && kind == "u" || c.user == "" || f[0][:1] != c.dialect || n <= c.direct[f[2]] {
			c.fault("%q came for %q, after %d", line, c.user, c.direct[f[2]])
		}
		c.direct[f[2]] = n
		return
	}
	life := f[1]
	if kind == "m" {
		life = f[2]
	}
	m := c.in[life]
	if m == nil {
		c.fault("%q is not for it: its rooms are %v", line[:min(60, len(line))], c.rooms())
		return
	}
	if want := c.dialect; f[0][:1] != want && !(m.given > 0 && m.recent && line[0] == '0') {
		c.fault("%q is in another dialect than %s", line[:min(60, len(line))], want)
	}
	switch kind {
	case "m":
		c.message(m, line, f)
	case "s":
		c.ordered(m, f[2], f[3])
	case "e":
		if c.user != "" && f[4] == c.user {
			c.fault("%q: about itself", line)
		}
		m.count, _ = strconv.Atoi(f[3])
	case "x":
		c.model.expectSeen(c.k, life, m.next, true)
		c.remember(life)
		c.ended[life] = true
	}
}

// ordered checks that a publisher's messages come in its order, each once.
func (c *visitor) ordered(m *membership, publisher, n string) {
	i, _ := strconv.Atoi(n)
	if i <= m.latest[publisher] {
		c.fault("%s's message %d came after %d", publisher, i, m.latest[publisher])
	}
	m.latest[publisher] = i
}

// message checks one with an offset.
func (c *visitor) message(m *membership, line string, f []string) {
	offset, _ := strconv.ParseUint(f[1], 10, 64)
	life, publisher, n, except, size := f[2], f[3], f[4], f[5], f[6]
	body := strings.Join(f[2:7], " ")
	if pad := line[strings.Index(line, body)+len(body):]; strconv.Itoa(len(pad)-1) != size || strings.Trim(pad[1:], "x") != "" {
		c.fault("%q has %d bytes behind it", body, len(pad)-1)
	}
	excepted := strings.Contains(except, "-"+c.k+"-")
	switch {
	case offset < m.next || offset > m.next && m.given > 0:
		c.fault("offset %d of life %s, expected was %d, %d given", offset, life, m.next, m.given)
	case m.given > 0: // all there is: who was excepted too has it given
		m.given--
	case excepted:
		c.fault("%q has come: it was excepted", body)
	default:
		for at := m.next; at < offset; at++ { // those before it must be excepted
			c.model.expectSeen(c.k, life, at, false)
		}
	}
	c.ordered(m, publisher, n)
	m.next = offset + 1
	c.model.Saw(life, offset, body, false)
}

// answered acts on the answer to a request.
func (c *visitor) answered(r request, f []string) {
	switch f[0] {
	case "joined":
		c.joined(r, f)
	case "left":
		if life := f[2]; c.in[life] != nil {
			c.remember(life)
		}
	case "rooms":
		c.lives = f[2]
	case "err":
		switch life := f[3]; {
		case r.verb == "hop" && c.in[life] != nil: // out, and not in again
			c.remember(life)
		case f[2] == "joined" && c.in[life] == nil && !c.ended[life]:
			c.fault("refused as in life %s already: its rooms are %v", life, c.rooms())
		}
	}
}

func (c *visitor) joined(r request, f []string) {
	life, epoch, first, recovered := f[2], f[3], f[6] == "true", f[7] == "true"
	offset, _ := strconv.ParseUint(f[4], 10, 64)
	count, _ := strconv.Atoi(f[5])
	given, _ := strconv.Atoi(f[8])
	if r.verb == "hop" && c.in[life] != nil {
		c.remember(life)
	}
	if c.in[life] != nil || c.ended[life] {
		c.fault("joined life %s: in it %v, ended %v", life, c.in[life] != nil, c.ended[life])
	}
	want := r.since.Epoch == epoch && r.since.Offset <= offset && offset-r.since.Offset <= roommodel.Recovery
	missed := min(r.recent, offset)
	if want {
		missed = offset - r.since.Offset
	}
	short := c.model.slow && !recovered // large messages: too many bytes, perhaps
	if !short && (recovered != want || uint64(given) != missed) || short && uint64(given) > r.recent {
		c.fault("joined at %s %d, since %v: recovered %v with %d messages, want %v with %d", epoch, offset, r.since, recovered, given, want, missed)
	}
	if first && c.user == "" {
		c.fault("nobody is the first connection of a user")
	}
	c.in[life] = &membership{
		room: r.room, epoch: epoch, next: offset + 1 - uint64(given), given: given, recent: !recovered, count: count, latest: make(map[string]int),
	}
}

// rooms are the lives that it is in.
func (c *visitor) rooms() (lives []string) {
	for life := range c.in {
		lives = append(lives, life)
	}
	return lives
}
