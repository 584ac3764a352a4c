package bench

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/perchws/perch"
)

// chatUser is one user. Its methods run on its loop.
type chatUser struct {
	*member
	load  *chatLoad
	wants int // the room that it is in or on its way to

	in      *chatRoom // nil: on its way
	base    uint64    // the first offset that it must see there
	seq     sequence  // of the offsets, from base
	posted  int       // messages there
	entered bool      // into a first room
	owed    []mark    // messages that were due on its way
	pending []mark    // posted and not acknowledged, in order
}

func (u *chatUser) open(perch.Conn) {}

// greet says who the user is, and goes to its room. (The server puts it into
// another first.)
func (u *chatUser) greet(c perch.Conn) {
	c.SendText(fmt.Sprintf(`{"username":%q}`, userName(u.index)))
	u.join(c)
}

func (u *chatUser) join(c perch.Conn) {
	c.SendText(fmt.Sprintf(`{"type":"join_room","room_id":%q}`, u.load.rooms[u.wants].name))
}

// post posts a message, now or as soon as the user is in a room.
func (u *chatUser) post(c perch.Conn, m mark) {
	if u.in == nil {
		u.owed = append(u.owed, m)
		return
	}
	if u.load.Typing {
		c.SendText(`{"type":"typing"}`)
	}
	text := u.load.seen[u.e.index].form.put(m.seq, m.ts)
	if c.SendText(fmt.Sprintf(`{"type":"chat_message","content":"%s","id":"%d"}`, text, m.seq)) != nil {
		return // it is closed, and its end will tell
	}
	u.posted++
	u.pending = append(u.pending, m)
}

// chatEvent is what of a server's message counts here.
type chatEvent struct {
	Type    string
	RoomID  string `json:"room_id"`
	Offset  uint64
	ID      json.RawMessage
	Code    string
	Message json.RawMessage // an object; of an error a string
}

// chatCache is what the users of an engine know about messages that one of them
// has read: the same bytes mean the same. Owned by the loop.
type chatCache struct {
	form template // to write messages with
	turn int
	last [8]struct {
		text   []byte
		room   *chatRoom
		offset uint64
		mark   mark
	}
}

func (u *chatUser) message(c perch.Conn, op perch.Opcode, p []byte) {
	u.e.others.Add(1)
	seen := &u.load.seen[u.e.index]
	for i := range seen.last {
		if known := &seen.last[i]; known.room != nil && bytes.Equal(known.text, p) {
			u.received(known.room, known.offset, known.mark)
			return
		}
	}
	var e chatEvent
	if err := json.Unmarshal(p, &e); err != nil || op != perch.Text {
		u.corrupt(p, "not JSON in text")
		return
	}
	switch e.Type {
	case "room_joined":
		u.joined(c, &e)
	case "room_left":
		u.left(c, &e)
	case "message":
		u.read(seen, &e, p)
	case "message_sent":
		u.acknowledged(c, &e, p)
	case "error":
		u.e.run.faults.add(Refused, 1, "user %d: %.200s", u.index, p)
	}
}

func (u *chatUser) corrupt(p []byte, why string) {
	u.e.run.faults.add(Corrupt, 1, "user %d: %s: %.200q", u.index, why, p)
}

// joined begins to count offsets.
func (u *chatUser) joined(c perch.Conn, e *chatEvent) {
	if e.RoomID != u.load.rooms[u.wants].name {
		return // where the server has put it
	}
	u.in, u.base, u.seq, u.posted = &u.load.rooms[u.wants], e.Offset+1, sequence{}, 0
	if !u.entered {
		u.entered = true
		u.e.greeted.Add(1)
	}
	owed := u.owed
	u.owed = nil
	for _, m := range owed {
		u.post(c, m)
	}
}

// left goes on to the next room.
func (u *chatUser) left(c perch.Conn, e *chatEvent) {
	if u.entered && e.RoomID == u.load.rooms[u.wants].name {
		u.wants = (u.wants + 1) % len(u.load.rooms)
		u.join(c)
	}
}

// read verifies a message and remembers it.
func (u *chatUser) read(seen *chatCache, e *chatEvent, p []byte) {
	var body struct {
		Content string
		RoomID  string `json:"room_id"`
	}
	if err := json.Unmarshal(e.Message, &body); err != nil {
		u.corrupt(p, "no message in it")
		return
	}
	m, _, ok := findMarker([]byte(body.Content), 0)
	r := u.load.room(body.RoomID)
	if !ok || r == nil || m.seq >= u.load.posted.Load() || string(seen.form.put(m.seq, m.ts)) != body.Content {
		u.corrupt(p, "nobody has posted this")
		return
	}
	known := &seen.last[seen.turn]
	seen.turn = (seen.turn + 1) % len(seen.last)
	known.text, known.room, known.offset, known.mark = append(known.text[:0], p...), r, e.Offset, m
	u.received(r, e.Offset, m)
}

// received counts a message of somebody else.
func (u *chatUser) received(r *chatRoom, offset uint64, m mark) {
	if u.place(r, offset, m) && u.e.run.measuring(m.ts) {
		u.e.latency.add(u.e.run.now() - m.ts)
	}
}

// acknowledged counts the place of a message of its own, and moves on after
// enough of them.
func (u *chatUser) acknowledged(c perch.Conn, e *chatEvent, p []byte) {
	if len(u.pending) == 0 || string(e.ID) != fmt.Sprintf(`"%d"`, u.pending[0].seq) {
		u.corrupt(p, "not the answer to what was posted first")
		return
	}
	m := u.pending[0]
	u.pending = u.pending[1:]
	if u.place(u.in, e.Offset, m) && u.e.run.measuring(m.ts) {
		u.e.second.add(u.e.run.now() - m.ts)
	}
	u.e.answered.Add(1)
	if stay := u.load.Stay; stay > 0 && u.posted >= stay && len(u.pending) == 0 {
		u.countLost(0)
		u.in = nil
		c.SendText(`{"type":"leave_room"}`)
	}
}

// place takes note of an offset, and reports whether it is one that was
// awaited.
func (u *chatUser) place(r *chatRoom, offset uint64, m mark) bool {
	faults := &u.e.run.faults
	if r != u.in || offset < u.base {
		if u.in == nil {
			return false // sent before it had left
		}
		faults.add(Corrupt, 1, "user %d: message %d of %s, where it is not", u.index, offset, r.name)
		return false
	}
	if !r.agree(offset, m) {
		faults.add(Corrupt, 1, "user %d: offset %d of %s is message %d, and another one for others", u.index, offset, r.name, m.seq)
		return false
	}
	switch u.seq.add(offset - u.base) {
	case twice:
		faults.add(Duplicate, 1, "user %d: offset %d of %s again", u.index, offset, r.name)
		return false
	case late:
		faults.add(Reordered, 1, "user %d: offset %d of %s late", u.index, offset, r.name)
	}
	return true
}

// countLost counts the offsets that have not come: up to the last one that did,
// or to last if that is more.
func (u *chatUser) countLost(last uint64) {
	if n := u.seq.missing(max(u.seq.next, last-min(last, u.base-1))); n > 0 {
		u.e.run.faults.add(Lost, n, "user %d: %d messages of %s never came", u.index, n, u.in.name)
	}
}

// finish counts what has not come at the end. The engines have stopped.
func (u *chatUser) finish() {
	if u.in != nil {
		u.countLost(u.in.last)
	}
	if n := len(u.pending); n > 0 {
		u.e.run.faults.add(Lost, uint64(n), "user %d: %d messages were not acknowledged", u.index, n)
	}
	if n := len(u.owed); n > 0 {
		u.e.run.faults.add(Timeout, uint64(n), "user %d was still on its way to a room, with %d messages to post", u.index, n)
	}
}
