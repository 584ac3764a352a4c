//go:build linux

package roommodel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/perchws/perch/room"
)

// Actor is a person who comes and goes, one connection at a time, and remembers what was seen.
type Actor struct {
	User string // "": does not sign in

	mu   sync.Mutex
	seen map[string]room.Position // by room
}

// NewActor makes the i-th, which has seen nothing. If there are nobodies, one of every so many is one.
func (s *Stage) NewActor(i, every int) *Actor {
	a := &Actor{seen: make(map[string]room.Position)}
	if i%every != 0 || !s.Nobodies {
		a.User = UserID(i % Users)
	}
	return a
}

// View is what one connection of an actor knows. It holds what the connection is sent against
// what it was told. It is for one goroutine at a time.
type View struct {
	K       string // names the connection
	User    string
	Dialect string

	stage  *Stage
	who    *Actor
	seq    int
	asked  map[string]request
	in     map[string]*membership // by life
	ended  map[string]bool        // lives whose end it has seen
	direct map[string]int         // the latest of a publisher's direct messages
	lives  string                 // the latest answer to "rooms"
	trace  []string               // what came and went lately
}

// request is what was asked and not answered yet.
type request struct {
	verb, room string
	since      room.Position
	recent     uint64
}

// membership is what a view knows of a room that its connection is in.
type membership struct {
	room, epoch string
	next        uint64         // offset of the next message
	given       int            // how many of the next come with the join: all of them, in order
	recent      bool           // these are in dialect 0, whoever asks
	count       int            // members, as last told
	latest      map[string]int // the latest of a publisher's messages
}

// NewView makes the view of a new connection, named k, whose dialect is "0" or "1".
func (s *Stage) NewView(who *Actor, k, dialect string) *View {
	return &View{
		K: k, User: who.User, Dialect: dialect, stage: s, who: who,
		asked: make(map[string]request), in: make(map[string]*membership), ended: make(map[string]bool), direct: make(map[string]int),
	}
}

// Query is the query of the upgrade request, for [Stage.Open].
func (v *View) Query() string {
	return fmt.Sprintf("k=%s&user=%s&dialect=%s", v.K, v.User, v.Dialect)
}

// Next is a random request, to be sent as a text message. "" means: none this time.
func (v *View) Next(random *rand.Rand) string {
	id := RoomID(random.IntN(Rooms))
	switch k := random.IntN(84); {
	case k < 26:
		return v.join(random, id)
	case k < 40:
		return v.leave(random)
	case k < 66:
		return v.ask(request{verb: "pub"}, id, random.IntN(400), []string{"none", "self", "user"}[random.IntN(3)])
	case k < 74:
		return v.ask(request{verb: "send"}, id, random.IntN(3))
	case k < 78:
		return v.ask(request{verb: "tell"}, UserID(random.IntN(Users)))
	case k < 80:
		return v.ask(request{verb: "drop"}, id)
	default:
		return v.ask(request{verb: "make"}, id)
	}
}

// AskRooms is the request for the rooms that the server has the connection in.
func (v *View) AskRooms() string { return v.ask(request{verb: "rooms"}) }

// Waiting is the number of requests that are not answered yet.
func (v *View) Waiting() int { return len(v.asked) }

func (v *View) ask(r request, args ...any) string {
	v.seq++
	seq := strconv.Itoa(v.seq)
	v.asked[seq] = r
	line := r.verb + " " + seq
	for _, a := range args {
		line += fmt.Sprint(" ", a)
	}
	v.Note("> ", line)
	return line
}

// join asks for a room, and often for what was missed of it.
func (v *View) join(random *rand.Rand, id string) string {
	since, epoch := room.Position{}, "-"
	v.who.mu.Lock()
	if seen, ok := v.who.seen[id]; ok && random.IntN(4) != 0 {
		since, epoch = seen, seen.Epoch
	}
	v.who.mu.Unlock()
	verb, recent := "join", random.IntN(10)
	if random.IntN(5) == 0 {
		verb = "hop"
	}
	return v.ask(request{verb: verb, room: id, since: since, recent: uint64(recent)}, id, epoch, since.Offset, recent)
}

// leave leaves one of the rooms that the view knows its connection to be in.
func (v *View) leave(random *rand.Rand) string {
	lives := v.rooms()
	if len(lives) == 0 {
		return ""
	}
	return v.ask(request{verb: "leave"}, lives[random.IntN(len(lives))])
}

// rooms are the lives that the connection is in, sorted.
func (v *View) rooms() (lives []string) {
	for life := range v.in {
		lives = append(lives, life)
	}
	slices.Sort(lives)
	return lives
}

// Note keeps the last lines, to be shown with a fault. way is "> " or "< ".
func (v *View) Note(way, line string) {
	if len(line) > 80 {
		line = line[:80] + "…"
	}
	if v.trace = append(v.trace, way+line); len(v.trace) > 60 {
		v.trace = v.trace[20:]
	}
}

// Fault reports what should not have happened.
func (v *View) Fault(format string, args ...any) {
	v.stage.Fault("visitor %s: %s\n\t%s", v.K, fmt.Sprintf(format, args...), strings.Join(v.trace, "\n\t"))
}

// End is the end of the connection: what was seen stays known to the actor.
func (v *View) End() {
	for _, life := range v.rooms() {
		v.remember(life)
	}
}

// remember takes a membership away; what was seen stays known.
func (v *View) remember(life string) {
	m := v.in[life]
	delete(v.in, life)
	v.who.mu.Lock()
	defer v.who.mu.Unlock()
	v.who.seen[m.room] = room.Position{Epoch: m.epoch, Offset: m.next - 1}
}

// Take acts on a text message that has come.
func (v *View) Take(line string) {
	v.Note("< ", line)
	f := strings.Fields(line)
	switch kind := f[0][1:]; {
	case line[0] > '9':
		r, ok := v.asked[f[1]]
		if !ok {
			v.Fault("%q answers nothing", line)
			return
		}
		delete(v.asked, f[1])
		v.answered(r, f)
	case kind == "u" || kind == "a":
		n, _ := strconv.Atoi(f[3])
		if f[1] != v.User && kind == "u" || v.User == "" || f[0][:1] != v.Dialect || n <= v.direct[f[2]] {
			v.Fault("%q came for %q, after %d", line, v.User, v.direct[f[2]])
		}
		v.direct[f[2]] = n
	case kind == "m":
		v.heard(f[2], line, f)
	default:
		v.heard(f[1], line, f)
	}
}

// heard acts on what has come from a life of a room.
func (v *View) heard(life, line string, f []string) {
	m := v.in[life]
	if m == nil {
		v.Fault("%q is not for it: its rooms are %v", line[:min(60, len(line))], v.rooms())
		return
	}
	if f[0][:1] != v.Dialect && !(m.given > 0 && m.recent && line[0] == '0') {
		v.Fault("%q is in another dialect than %s", line[:min(60, len(line))], v.Dialect)
	}
	switch f[0][1:] {
	case "m":
		v.message(m, line, f)
	case "s":
		v.ordered(m, f[2], f[3])
	case "e":
		if v.User != "" && f[4] == v.User {
			v.Fault("%q: about itself", line)
		}
		m.count, _ = strconv.Atoi(f[3])
	case "x":
		v.stage.expectSeen(v.K, life, m.next, true)
		v.remember(life)
		v.ended[life] = true
	}
}

// ordered checks that a publisher's messages come in its order, each once.
func (v *View) ordered(m *membership, publisher, n string) {
	i, _ := strconv.Atoi(n)
	if i <= m.latest[publisher] {
		v.Fault("%s's message %d came after %d", publisher, i, m.latest[publisher])
	}
	m.latest[publisher] = i
}

// message checks one with an offset.
func (v *View) message(m *membership, line string, f []string) {
	offset, _ := strconv.ParseUint(f[1], 10, 64)
	life, publisher, n, except, size := f[2], f[3], f[4], f[5], f[6]
	body := strings.Join(f[2:7], " ")
	if pad := line[strings.Index(line, body)+len(body):]; strconv.Itoa(len(pad)-1) != size || strings.Trim(pad[1:], "x") != "" {
		v.Fault("%q has %d bytes behind it", body, len(pad)-1)
	}
	excepted := strings.Contains(except, "-"+v.K+"-")
	switch {
	case offset < m.next || offset > m.next && m.given > 0:
		v.Fault("offset %d of life %s, expected was %d, %d given", offset, life, m.next, m.given)
	case m.given > 0: // a join gives all there is, also to a connection that was excepted
		m.given--
	case excepted:
		v.Fault("%q has come: it was excepted", body)
	default:
		for at := m.next; at < offset; at++ { // those before it must be excepted
			v.stage.expectSeen(v.K, life, at, false)
		}
	}
	v.ordered(m, publisher, n)
	m.next = offset + 1
	v.stage.saw(life, offset, body, false)
}

// answered acts on the answer to a request.
func (v *View) answered(r request, f []string) {
	switch f[0] {
	case "joined":
		v.joined(r, f)
	case "left":
		if life := f[2]; v.in[life] != nil {
			v.remember(life)
		}
	case "rooms":
		v.lives = f[2]
	case "err":
		switch life := f[3]; {
		case r.verb == "hop" && v.in[life] != nil: // out, and not in again
			v.remember(life)
		case f[2] == "joined" && v.in[life] == nil && !v.ended[life]:
			v.Fault("refused as in life %s already: its rooms are %v", life, v.rooms())
		}
	}
}

func (v *View) joined(r request, f []string) {
	life, epoch, first, recovered := f[2], f[3], f[6] == "true", f[7] == "true"
	offset, _ := strconv.ParseUint(f[4], 10, 64)
	count, _ := strconv.Atoi(f[5])
	given, _ := strconv.Atoi(f[8])
	if r.verb == "hop" && v.in[life] != nil {
		v.remember(life)
	}
	if v.in[life] != nil || v.ended[life] {
		v.Fault("joined life %s: in it %v, ended %v", life, v.in[life] != nil, v.ended[life])
	}
	want := r.since.Epoch == epoch && r.since.Offset <= offset && offset-r.since.Offset <= recovery
	missed := min(r.recent, offset)
	if want {
		missed = offset - r.since.Offset
	}
	short := v.stage.Slow && !recovered // large messages: too many bytes, perhaps
	if !short && (recovered != want || uint64(given) != missed) || short && uint64(given) > r.recent {
		v.Fault("joined at %s %d, since %v: recovered %v with %d messages, want %v with %d", epoch, offset, r.since, recovered, given, want, missed)
	}
	if first && v.User == "" {
		v.Fault("a connection without a user is the first of a user")
	}
	v.in[life] = &membership{
		room: r.room, epoch: epoch, next: offset + 1 - uint64(given), given: given, recent: !recovered, count: count, latest: make(map[string]int),
	}
}
