package chat

import (
	"bytes"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// contentTypes are what a client may call its content.
var contentTypes = map[string]bool{"text": true, "image": true, "file": true}

// post publishes a message to the client's room, and acknowledges it. field is where its content is.
func (s *Service) post(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message, field string) error {
	r, err := me.in()
	if err != nil {
		return err
	}
	p, err := s.read(m, field)
	if err != nil {
		return err
	}
	u := conn.User()
	a := &ack{s: s, c: c, ref: conn.Ref(), at: p.Timestamp, msg: p.ID}
	if id := m.ID(); id != nil {
		a.id = bytes.Clone(id)
		a.key = keyOf(u.ID(), r.ID(), r.Position().Epoch, id)
		switch was, is := s.sends.begin(a, s.sends.sum(&p)); is {
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
	r.Publish(room.Message{Payload: payload, Except: []room.Member{conn.Member()}}, a.done)
	return nil
}

// read is what the client may say of a message.
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

// ack is an acknowledgement that is owed.
type ack struct {
	s   *Service
	c   *endpoint.Client
	ref perch.Ref
	id  []byte  // of the client's message; nil: it has none
	key sendKey // if it has
	msg string
	at  time.Time

	waiting []*ack // of the same message, sent again; sends.mu guards it
}

// done is told what became of the message.
func (a *ack) done(r room.Receipt, err error) {
	is := sent{id: a.msg, offset: r.Offset, at: a.at}
	if a.id != nil {
		for _, again := range a.s.sends.settle(a, is, err) {
			again.tell(is, err)
		}
	}
	a.tell(is, err)
}

// tell gives the acknowledgement, or the error.
func (a *ack) tell(is sent, err error) {
	_ = a.ref.Do(func(conn perch.Conn) { // a client that is gone will ask again
		if err != nil {
			a.c.Fail(conn, a.id, endpoint.RoomError(err))
			return
		}
		send(conn, a.sent(is))
	})
}

func (a *ack) sent(is sent) protocol.Object {
	return protocol.NewObject(nil, protocol.TypeMessageSent).ID(a.id).String("message_id", is.id).
		Uint("offset", is.offset).Time("timestamp", is.at)
}

// typing is what others were told last.
type typing int64 // when, in milliseconds of the monotonic clock; negative: that it has stopped; 0: nothing

// typingGap is how often others are told, at most.
const typingGap = int64(time.Second / time.Millisecond)

// setTyping tells the others in the room that the client is typing, or is not any more. Who is told too often, or
// in a room that has more than enough to do, hears nothing.
func (s *Service) setTyping(conn perch.Conn, me *member, m protocol.Message) error {
	r, err := me.in()
	if err != nil {
		return err
	}
	is, err := m.Bool("is_typing", true)
	if err != nil {
		return err
	}
	now := s.cfg.Clock.Now() / int64(time.Millisecond)
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

// typingQueue is with how many messages under way nobody hears of typing.
const typingQueue = 100
