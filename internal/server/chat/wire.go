package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// The dialects: of /ws/chat, in which histories are kept, and of /ws/room/{room_id}.
const (
	dialectChat room.Dialect = iota
	dialectRoom
)

// post is a message as it is published. Its JSON is published without the offset, which encode adds.
type post struct {
	ID          string    `json:"id"`
	MessageType string    `json:"message_type"`
	Content     string    `json:"content"`
	SenderID    string    `json:"sender_id"`
	SenderName  string    `json:"sender_name"`
	RoomID      string    `json:"room_id"`
	Timestamp   time.Time `json:"timestamp"`
	ReplyTo     string    `json:"reply_to"`
}

// append appends {"type":"message","message":{…}}.
func (p *post) append(dst []byte) []byte {
	o := protocol.NewObject(dst, protocol.TypeMessage).Open("message").
		String("id", p.ID).String("message_type", p.MessageType).String("content", p.Content).
		String("sender_id", p.SenderID).String("sender_name", p.SenderName).String("room_id", p.RoomID).
		Time("timestamp", p.Timestamp)
	if p.ReplyTo != "" {
		o = o.String("reply_to", p.ReplyTo)
	}
	return o.Close().End()
}

// The bytes before and behind a message in its frame; see splice.
const (
	beforeMessage = `{"type":"message","message":`
	beforeOffset  = `,"offset":`
)

// encode is room.Config.Encode: it adds the offset.
func encode(dst []byte, _ string, offset uint64, payload []byte) []byte {
	dst = append(dst, payload[:len(payload)-1]...)
	dst = append(dst, beforeOffset...)
	return append(strconv.AppendUint(dst, offset, 10), '}')
}

// splice appends the message of a frame, with its offset inside, without decoding it: an item of recent_messages.
func splice(dst, frame []byte) []byte {
	at := bytes.LastIndex(frame, []byte(beforeOffset))
	if !bytes.HasPrefix(frame, []byte(beforeMessage)) || at < len(beforeMessage)+2 {
		return append(dst, frame...) // it is not in our form
	}
	dst = append(dst, frame[len(beforeMessage):at-1]...)
	return append(dst, frame[at:]...)
}

// translate is room.Config.Translate: the message for members of /ws/room.
func translate(dst []byte, _ room.Dialect, _ string, message []byte) []byte {
	var m struct {
		Message post
		Offset  uint64
	}
	if err := json.Unmarshal(message, &m); err != nil || m.Message.ID == "" {
		return append(dst, message...) // it is not in our form
	}
	p := &m.Message
	o := protocol.NewObject(dst, protocol.TypeChatMessage).String("room_id", p.RoomID).String("sender", p.SenderID).
		String("sender_name", p.SenderName).String("message", p.Content).String("message_id", p.ID).
		String("message_type", p.MessageType).Time("timestamp", p.Timestamp)
	if p.ReplyTo != "" {
		o = o.String("reply_to", p.ReplyTo)
	}
	return o.Uint("offset", m.Offset).End()
}

// announce is room.Config.Announce: the messages in which members are told about each other.
func (s *Service) announce(e room.Event) room.Frames {
	now := s.now()
	id := e.Room.ID()
	switch e.Kind {
	case room.UserJoined, room.UserLeft:
		event, typ := eventJoined, protocol.TypeUserJoined
		if e.Kind == room.UserLeft {
			event, typ = eventLeft, protocol.TypeUserLeft
			if s.isGoing(e.User) {
				event = eventOffline
			}
		}
		return room.Frames{
			dialectChat: text(s.system(nil, id, e.Room.Options().Name, event, e.User, e.Count, now)),
			dialectRoom: text(protocol.NewObject(nil, typ).String("room_id", id).String("user_id", e.User.ID()).
				String("username", e.User.Name()).Int("member_count", int64(e.Count)).Time("timestamp", now).End()),
		}
	case room.Changed:
		o := protocol.NewObject(nil, protocol.TypePresence).String("room_id", id).Int("member_count", int64(e.Count))
		o = appendUsers(appendUsers(o, "joined", e.Came), "left", e.Went)
		return both(o.Time("timestamp", now).End())
	default:
		return both(protocol.NewObject(nil, protocol.TypeRoomClosed).String("room_id", id).
			String("reason", e.Reason).Time("timestamp", now).End())
	}
}

// system appends a system_message. u is the user that it is about; it may be nil.
func (s *Service) system(dst []byte, roomID, roomName string, e event, u *room.User, count int, now time.Time) []byte {
	name := ""
	if u != nil {
		name = u.Name()
	}
	o := protocol.NewObject(dst, protocol.TypeSystemMessage).Open("message").
		String("id", s.newID()).String("message_type", "system").String("content", s.cfg.Locale.text(e, name, roomName)).
		String("sender_id", systemID).String("sender_name", systemName).String("room_id", roomID).
		Time("timestamp", now).String("event", string(e))
	if u != nil {
		o = o.String("user_id", u.ID()).String("username", name)
	}
	return o.Int("user_count", int64(count)).Close().End()
}

// status makes a user_status.
func (s *Service) status(u *room.User, status string) room.Frames {
	return room.Frames{dialectChat: text(protocol.NewObject(nil, protocol.TypeUserStatus).String("user_id", u.ID()).
		String("username", u.Name()).String("status", status).Time("timestamp", s.now()).End())}
}

func appendUsers(o protocol.Object, name string, users []*room.User) protocol.Object {
	o = o.OpenList(name)
	for _, u := range users {
		o = o.OpenItem().String("id", u.ID()).String("username", u.Name()).Close()
	}
	return o.CloseList()
}

func text(p []byte) *frame.Prepared { return frame.Prepare(frame.OpText, p) }

// both makes a message that is the same in both dialects.
func both(p []byte) room.Frames {
	f := text(p)
	return room.Frames{dialectChat: f, dialectRoom: f}
}

// send sends a complete message. An error means that the connection is closing: Close will be called.
func send(conn perch.Conn, o protocol.Object) { _ = conn.Send(perch.Text, o.End()) }
