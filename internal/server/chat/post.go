package chat

import (
	"bytes"
	"errors"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// contentTypes are the values that a client may send as content_type.
var contentTypes = map[string]bool{"text": true, "image": true, "file": true}

// post publishes a message to the client's room, and acknowledges it. field is the name of the member with its
// content.
func (s *Service) post(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message, field string) error {
	r, err := me.named(m)
	if err != nil {
		return err
	}
	p, err := s.read(m, field)
	if err != nil {
		return err
	}
	if me.rare != nil && me.rare.owed.Load() >= maxOwed {
		return &protocol.Error{Code: protocol.CodeQueueFull}
	}
	u, payer := conn.User(), c.Payer(conn)
	a := &ack{s: s, c: c, ref: conn.Ref(), name: room.Once{ID: p.ID, At: p.Timestamp}}
	var name *room.Once
	if id := m.ID(); id != nil {
		a.id = bytes.Clone(id)
		a.name.Key, a.name.Content = keyOf(u.ID(), r.ID(), r.Position().Epoch, id), sum(&p)
		name = &a.name
		switch was, is := s.sends.begin(a, payer); is {
		case isPosted:
			send(conn, a.sent(was))
			return nil
		case isWaiting:
			return nil
		case isOther:
			return &protocol.Error{Code: protocol.CodeIDReused, Field: "id"}
		case isCrowded:
			return &protocol.Error{Code: protocol.CodeBusy}
		}
	}
	p.SenderID, p.SenderName, p.RoomID = u.ID(), u.Name(), r.ID()
	payload := p.append(make([]byte, 0, len(p.Content)+256))
	r.Publish(room.Message{
		Payload: payload, Except: []room.Member{conn.Member()}, Once: name, Payer: room.Payer(payer),
	}, a.done)
	a.owe(me)
	return nil
}

// read reads the fields of a message that the client may set.
func (s *Service) read(m protocol.Message, field string) (p post, err error) {
	if p.Content, err = m.String(field, MaxContent, true); err != nil {
		return p, err
	}
	if label.Blank(p.Content) {
		return p, &protocol.Error{Code: protocol.CodeInvalidValue, Field: field, Message: "The message is empty, or nothing of it can be seen."}
	}
	if p.MessageType, err = m.String("message_type", maxReply, false); err != nil {
		return p, err
	}
	if p.MessageType == "" {
		p.MessageType = "text"
	}
	if !contentTypes[p.MessageType] {
		return p, &protocol.Error{Code: protocol.CodeInvalidValue, Field: "message_type"}
	}
	p.ReplyTo, err = m.String("reply_to", maxReply, false)
	p.ID, p.Timestamp = s.newID(), s.now()
	return p, err
}

// maxOwed is how many messages of one connection may be under way at a time. Otherwise, when the broker does not
// answer, one client could fill the queue of the room.
const maxOwed = 64

// ack is an acknowledgement that is not given yet.
type ack struct {
	s     *Service
	c     *endpoint.Client
	ref   perch.Ref
	id    []byte    // of the client's message; nil: it has none
	name  room.Once // of the message; it has no key if the client has given no id
	rare  *rare     // where the ack is counted
	state atomic.Uint32

	waiting []*ack // repetitions of the same message; sends.mu guards them
}

// States of an ack.
const (
	ackOwed = 1 + iota // it is counted in rare.owed
	ackDone
)

// owe counts the ack, unless it is given already.
func (a *ack) owe(me *member) {
	if a.state.Load() == ackDone {
		return
	}
	a.rare = me.rarely()
	a.rare.owed.Add(1)
	if !a.state.CompareAndSwap(0, ackOwed) {
		a.rare.owed.Add(-1)
	}
}

// done gets the result of the publish. Any goroutine may call it.
func (a *ack) done(r room.Receipt, err error) {
	is := sent{id: a.name.ID, offset: r.Offset, at: a.name.At}
	if first := r.First; err == nil && first != nil { // it was published before, perhaps on another node
		is.id, is.at = first.ID, first.At
		if first.Content != a.name.Content {
			err = &protocol.Error{Code: protocol.CodeIDReused, Field: "id"}
		}
	}
	if a.id != nil {
		for _, again := range a.s.sends.settle(a, is, err) {
			again.tell(is, err)
		}
	}
	a.tell(is, err)
}

// tell sends the acknowledgement, or the error, by way of the mailbox: so it comes after all messages that were
// published before. If the mailbox accepts nothing more the ack stays owed, and is tried again.
func (a *ack) tell(is sent, err error) {
	full := a.ref.Do(func(conn perch.Conn) { // a client that is gone will send the message again
		if err != nil {
			a.c.Fail(conn, a.id, endpoint.RoomError(err))
			return
		}
		send(conn, a.sent(is))
	})
	if errors.Is(full, perch.ErrOverloaded) {
		a.s.realm.After(tellPause, func() { a.tell(is, err) })
		return
	}
	if a.state.Swap(ackDone) == ackOwed {
		a.rare.owed.Add(-1)
	}
}

// tellPause is the time after which a mailbox that accepted nothing more is asked again.
const tellPause = 20 * time.Millisecond

func (a *ack) sent(is sent) protocol.Object {
	return protocol.NewObject(nil, protocol.TypeMessageSent).ID(a.id).String("message_id", is.id).
		Uint("offset", is.offset).Time("timestamp", is.at)
}

// typing is the last thing that others were told.
type typing int64 // the time, in nanoseconds of the monotonic clock; negative: that the client has stopped; 0: nothing

// typingGap is the shortest time between two such messages.
const typingGap = int64(time.Second)

// setTyping tells the others in the room that the client types, or has stopped. It tells nothing if it has just told
// the same, or if the room is very busy.
func (s *Service) setTyping(conn perch.Conn, me *member, m protocol.Message) error {
	r, err := me.named(m)
	if err != nil {
		return err
	}
	is, err := m.Bool("is_typing", true)
	if err != nil {
		return err
	}
	now := s.cfg.Clock.Now()
	last := int64(me.typing)
	if last != 0 && now-max(last, -last) < typingGap && is == (last > 0) || is && r.Queue() > typingQueue {
		return nil
	}
	me.typing = typing(now)
	if !is {
		me.typing = -me.typing
	}
	u := conn.User()
	r.Send(both(protocol.NewObject(nil, protocol.TypeUserTyping).String("room_id", r.ID()).String("user_id", u.ID()).
		String("username", u.Name()).Bool("is_typing", is).Time("timestamp", s.now()).End()), room.ClassTyping, conn.Member())
	return nil
}

// typingQueue is how many messages may be under way before typing is left out.
const typingQueue = 100
