//go:build linux

// Package roommodel is a model of rooms on a server, for tests: a server's side that takes
// random requests and writes down what rooms have truly been through, to compare with what
// visitors were told.
package roommodel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/room"
)

// Stage is the server's side of the model test, and the record of what rooms
// have truly been through. Its visitors speak words; the first letter of what comes
// from a room is the receiver's dialect:
//
//	join SEQ ROOM EPOCH|- OFFSET RECENT   joined SEQ LIFE EPOCH OFFSET COUNT FIRST RECOVERED MESSAGES
//	hop …, as join: out and in again      the same
//	leave SEQ LIFE                        left SEQ LIFE
//	pub SEQ ROOM SIZE none|self|user      ok SEQ
//	send SEQ ROOM CLASS                   ok SEQ
//	tell SEQ USER                         ok SEQ
//	drop SEQ ROOM; make SEQ ROOM          ok SEQ
//	rooms SEQ                             rooms SEQ LIVES
//	                                      err SEQ CAUSE LIFE
//
//	0m OFFSET LIFE PUBLISHER N EXCEPT SIZE x…   a message
//	0s LIFE PUBLISHER N                         one that is not kept
//	0e LIFE KIND COUNT USER                     presence
//	0x LIFE                                     the room is deleted
//	0u USER PUBLISHER N                         to all connections of a user
//	0a * PUBLISHER N                            to all who have signed in
//
// A LIFE is one room from its making to its end: another one of the same id has
// another.
type Stage struct {
	Server *perch.Server
	Hub    *room.Hub
	Fault  func(format string, args ...any) // called on any goroutine
	// some visitors are too slow at times: joins may give less, members may be ended
	Slow      bool
	Nobodies  bool // some visitors do not sign in: rooms count them, and tell nobody
	summaries bool // who comes and goes is told in summaries, and empty rooms go at once

	lives    atomic.Int64
	accepted atomic.Int64 // publishes
	carried  atomic.Int64 // of them, those whose Taken was called
	refused  atomic.Int64

	mu     sync.Mutex
	books  map[string]*book  // by life
	epochs map[string]string // lives by epoch
	tails  []tail            // what visitors have not got
	unsaid map[string]bool   // bodies that were refused: nobody may see them
}

// NewStage makes a stage without rooms, of a kind that follows from the seed. fault reports what should not have
// happened.
func NewStage(seed uint64, fault func(format string, args ...any)) *Stage {
	return &Stage{
		Fault: fault, Slow: seed&1 == 0, Nobodies: seed&2 == 0, summaries: seed&4 == 0,
		books: make(map[string]*book), epochs: make(map[string]string), unsaid: make(map[string]bool),
	}
}

// Serve makes srv, before it starts, the server of the stage: visitors come to /ws.
func (s *Stage) Serve(srv *perch.Server) {
	s.Server, s.Hub = srv, srv.Rooms()
	srv.Handle("/ws", perch.Handler{OnOpen: s.Open, OnMessage: s.Message})
}

// MakeAll makes all rooms.
func (s *Stage) MakeAll() {
	for i := range Rooms {
		s.Make(RoomID(i))
	}
}

// book is what was published in one life of a room.
type book struct {
	room     *room.Room
	bodies   []string // by offset − 1; "": not seen yet
	receipts int
}

const (
	Rooms    = 6
	Users    = 8
	history  = 64 // more than recovery: it has all that may be asked for
	recovery = 48
)

// RoomID and UserID are the names of the rooms and users that exist, by number.
func RoomID(i int) string { return "room" + strconv.Itoa(i) }
func UserID(i int) string { return "user" + strconv.Itoa(i) }

// Config is that of the hub's rooms.
func (s *Stage) Config() (c room.Config) {
	c.MaxRoomsPerMember = Rooms - 2
	c.MaxHistory, c.MaxRecovery, c.MaxHistoryBytes = history, recovery, -1
	if c.PresenceEach = 100; s.summaries {
		c.PresenceEach = 2
	}
	c.Encode = func(dst []byte, _ string, offset uint64, payload []byte) []byte {
		return append(fmt.Appendf(dst, "0m %d ", offset), payload...)
	}
	c.Translate = func(dst []byte, d room.Dialect, _ string, message []byte) []byte {
		return append(append(dst, '0'+byte(d)), message[1:]...)
	}
	c.Announce = func(e room.Event) room.Frames {
		life := e.Room.Options().Name
		switch e.Kind {
		case room.UserJoined, room.UserLeft:
			return frames("e %s %d %d %s", life, e.Kind, e.Count, e.User.ID())
		case room.Changed:
			return frames("e %s %d %d -", life, e.Kind, e.Count)
		}
		return frames("x %s", life)
	}
	return c
}

// frames is a text in both dialects.
func frames(format string, args ...any) (f room.Frames) {
	for d := range f {
		f[d] = perch.Prepare(perch.Text, fmt.Appendf([]byte{'0' + byte(d)}, format, args...))
	}
	return f
}

// Publisher sends from one goroutine, the loop's of a connection for instance:
// who sees two of its messages sees them in the order of n.
type Publisher struct {
	*Stage
	name string
	n    int
}

// Publishers makes n that are nobody's connection.
func (s *Stage) Publishers(n int) (all []*Publisher) {
	for i := range n {
		all = append(all, &Publisher{Stage: s, name: fmt.Sprint("g", i)})
	}
	return all
}

// person is the user value of a connection.
type person struct {
	Publisher
	k string // names the connection in what it is excepted from
}

// Make makes a room, if there is none of this id.
func (s *Stage) Make(id string) {
	o := room.Options{Name: strconv.FormatInt(s.lives.Add(1), 10)}
	if s.summaries {
		o.TTL = time.Millisecond
	}
	if id == RoomID(0) {
		o.MaxMembers = 3
	}
	r, err := s.Hub.Create(id, o)
	switch {
	case errors.Is(err, room.ErrExists), errors.Is(err, room.ErrClosed):
		return
	case err != nil:
		s.Fault("create %s: %v", id, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bookOf(o.Name).room = r
	epoch := r.Position().Epoch
	if other := s.epochs[epoch]; other != "" {
		s.Fault("life %s of %s has the epoch %s of life %s", o.Name, id, epoch, other)
	}
	s.epochs[epoch] = o.Name
}

// bookOf is the book of a life. s.mu is held.
func (s *Stage) bookOf(life string) *book {
	if s.books[life] == nil {
		s.books[life] = new(book)
	}
	return s.books[life]
}

// saw takes note of the body at an offset: it must be everybody's.
func (s *Stage) saw(life string, offset uint64, body string, receipt bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bookOf(life)
	for uint64(len(b.bodies)) < offset {
		b.bodies = append(b.bodies, "")
	}
	if receipt {
		b.receipts++
	}
	switch was := b.bodies[offset-1]; {
	case s.unsaid[body]:
		s.Fault("%q was refused and came all the same", body)
	case was == "":
		b.bodies[offset-1] = body
	case was != body:
		s.Fault("life %s, offset %d: %q for one, %q for another", life, offset, was, body)
	}
}

// Publish publishes a message of so many bytes, padded with x.
func (p *Publisher) Publish(r *room.Room, size int, except []room.Member) {
	names := "-"
	for _, m := range except {
		if v, ok := p.Server.Ref(m).Value().(*person); ok {
			names += v.k + "-"
		}
	}
	p.n++
	life := r.Options().Name
	body := fmt.Sprintf("%s %s %d %s %d", life, p.name, p.n, names, size)
	called := false
	taken := func(int) { p.carried.Add(1) }
	r.Publish(room.Message{Payload: []byte(body + " " + strings.Repeat("x", size)), Except: except, Taken: taken}, func(rec room.Receipt, err error) {
		if called {
			p.Fault("the publisher of %q is told twice", body)
		}
		called = true
		switch {
		case err == nil:
			p.accepted.Add(1)
			p.saw(life, rec.Offset, body, true)
		case errors.Is(err, room.ErrQueueFull), errors.Is(err, room.ErrNotFound):
			p.refused.Add(1)
			p.mu.Lock()
			p.unsaid[body] = true
			p.mu.Unlock()
		default:
			p.Fault("publish %q: %v", body, err)
		}
	})
	if !called {
		p.Fault("the publisher of %q is not told", body)
	}
}

// send sends what is not kept.
func (p *Publisher) send(r *room.Room, class room.Class) {
	p.n++
	r.Send(frames("s %s %s %d", r.Options().Name, p.name, p.n), class)
}

// tell sends to all connections of a user.
func (p *Publisher) tell(user string) {
	p.n++
	p.Hub.SendUser(user, frames("u %s %s %d", user, p.name, p.n))
}

// GoOn is a plain goroutine among the publishers.
func (p *Publisher) GoOn(random *rand.Rand, ops, most int) {
	for range ops {
		r := p.Hub.Room(RoomID(random.IntN(Rooms)))
		switch k := random.IntN(20); {
		case r == nil:
			p.Make(RoomID(random.IntN(Rooms)))
		case k == 0:
			p.Hub.Sweep()
			p.n++
			p.Hub.SendAll(frames("a * %s %d", p.name, p.n))
		case k == 1:
			p.tell(UserID(random.IntN(Users)))
		case k < 5:
			p.send(r, room.Class(random.IntN(3)))
		default:
			p.Publish(r, random.IntN(most), nil)
		}
	}
}

// Open is OnOpen.
func (s *Stage) Open(c perch.Conn, req *perch.Request) {
	k := req.Query("k")
	c.SetValue(&person{Publisher{s, "c" + k, 0}, k})
	dialect, _ := strconv.Atoi(req.Query("dialect"))
	if user := req.Query("user"); user != "" {
		if _, _, err := c.SignIn(room.Identity{ID: user, Name: user, Dialect: room.Dialect(dialect)}); err != nil {
			s.Fault("sign in: %v", err)
		}
	}
}

// Message is OnMessage.
func (s *Stage) Message(c perch.Conn, _ perch.Opcode, p []byte) {
	f := strings.Fields(string(p))
	who := c.Value().(*person)
	say := func(format string, args ...any) { c.Send(perch.Text, fmt.Appendf(nil, format, args...)) }
	var r *room.Room
	if len(f) > 2 {
		r = s.Hub.Room(f[2])
	}
	switch verb, seq := f[0], f[1]; verb {
	case "join", "hop":
		s.join(c, who, r, f, say)
	case "leave":
		s.leave(c, f, say)
	case "rooms":
		lives := []string{"-"}
		c.Rooms(func(r *room.Room) { lives = append(lives, r.Options().Name) })
		say("rooms %s %s", seq, strings.Join(lives, ","))
	case "tell":
		who.tell(f[2])
		say("ok %s", seq)
	case "make":
		s.Make(f[2])
		say("ok %s", seq)
	default:
		if r != nil {
			s.act(c, who, r, f)
		}
		say("ok %s", seq)
	}
}

// act does what needs no answer, in a room that was there.
func (s *Stage) act(c perch.Conn, who *person, r *room.Room, f []string) {
	switch f[0] {
	case "pub":
		var except []room.Member
		switch u := c.User(); {
		case f[4] == "self":
			except = []room.Member{c.Member()}
		case f[4] == "user" && u != nil:
			except = s.Hub.Connections(u)
		}
		size, _ := strconv.Atoi(f[3])
		who.Publish(r, size, except)
	case "send":
		class, _ := strconv.Atoi(f[3])
		who.send(r, room.Class(class))
	case "drop":
		if err := s.Hub.Delete(r, "dropped"); err != nil && !errors.Is(err, room.ErrNotFound) {
			s.Fault("delete: %v", err)
		}
	}
}

func (s *Stage) join(c perch.Conn, who *person, r *room.Room, f []string, say func(string, ...any)) {
	if r == nil {
		say("err %s none -", f[1])
		return
	}
	life := r.Options().Name
	offset, _ := strconv.ParseUint(f[4], 10, 64)
	recent, _ := strconv.Atoi(f[5])
	o := room.JoinOptions{Recent: recent}
	if f[3] != "-" {
		o.Since = &room.Position{Epoch: f[3], Offset: offset}
	}
	if f[0] == "hop" {
		c.Join(r, room.JoinOptions{})
		who.Publish(r, 1, nil) // never comes: the membership that it was for is over
		c.Leave(r)
	}
	j, err := c.Join(r, o)
	for cause, name := range map[error]string{room.ErrJoined: "joined", room.ErrTooManyRooms: "many", room.ErrNotFound: "none", room.ErrFull: "full"} {
		if errors.Is(err, cause) {
			say("err %s %s %s", f[1], name, life)
			return
		}
	}
	if err != nil {
		s.Fault("join: %v", err)
	}
	if most := r.Options().MaxMembers; most > 0 && j.Count > most || !c.In(r) {
		s.Fault("joined %s as %d of %d, in it %v", r.ID(), j.Count, most, c.In(r))
	}
	given := append(slices.Clone(j.Missed), j.Recent...)
	say("joined %s %s %s %d %d %v %v %d", f[1], life, j.Epoch, j.Offset, j.Count, j.First, j.Recovered, len(given))
	for _, p := range given {
		c.SendPrepared(p)
	}
}

func (s *Stage) leave(c perch.Conn, f []string, say func(string, ...any)) {
	err := room.ErrNotIn
	c.Rooms(func(r *room.Room) {
		if r.Options().Name == f[2] {
			_, err = c.Leave(r)
		}
	})
	if err != nil && !errors.Is(err, room.ErrNotIn) {
		s.Fault("leave: %v", err)
	}
	say("left %s %s", f[1], f[2])
}
