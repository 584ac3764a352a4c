package bench

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/chat"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// chatTarget is a chat of some users in two rooms.
func chatTarget(t *testing.T, url string, d time.Duration) Chat {
	o := Chat{Target: target(t, url, 6), Rooms: 2, Size: 60, Rate: 400, Typing: true, Stay: 3}
	o.Time, o.Drain, o.Settle = d, 10*time.Second, 20*time.Millisecond
	return o
}

// TestChat lets users talk at the true chat.
func TestChat(t *testing.T) {
	wstest.NoLeaks(t)
	key, err := auth.SecretKey("test", []byte(strings.Repeat("secret", 10)))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.New(auth.Config{Keys: []auth.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	svc := chat.New(chat.Config{})
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2, Rooms: svc.Rooms(room.Config{})})
	realm := endpoint.New(endpoint.Config{Auth: verifier, Sessions: session.NewMemory(session.Config{}), Find: srv.Find})
	if err := svc.Mount(srv, realm); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.Close()
		realm.Close()
		verifier.Close()
	})
	res := runUntil(t, func(d time.Duration) *Result {
		o := chatTarget(t, "ws://"+srv.Addr().String()+"/ws/chat", d)
		o.Loops = 2
		return runOf(t, o)
	}, func(r *Result) bool { return r.Sent > 50 && r.Count > 0 })
	expectFaults(t, res)
	if res.Opened != 6 || res.Sent <= 50 || res.Second.Count == 0 || res.Second.Count > res.Sent || res.Count < res.Second.Count {
		t.Errorf("result %+v, acknowledged %+v", res, res.Second)
	}
}

// fakeChat is a chat without people's names, histories and the like, that can
// do everything wrong. One loop; all that it says is posted, so that it stays in
// order.
type fakeChat struct {
	rooms   map[string]*fakeRoom
	in      map[perch.Conn]string
	deliver func(f *fakeRoom, i int, c perch.Ref, offset int, text string) // a message to member i
	ack     func(c perch.Ref, offset int, id json.RawMessage)              // nil: properly
}

type fakeRoom struct {
	name    string
	members []perch.Conn
	offset  int
}

func (f *fakeRoom) send(c perch.Ref, offset int, text string) {
	c.SendText(fmt.Sprintf(`{"type":"message","message":{"content":%q,"room_id":%q},"offset":%d}`, text, f.name, offset))
}

func sendAck(c perch.Ref, offset int, id json.RawMessage) {
	c.SendText(fmt.Sprintf(`{"type":"message_sent","id":%s,"offset":%d}`, id, offset))
}

func (f *fakeChat) message(c perch.Conn, _ perch.Opcode, p []byte) {
	var m struct {
		Type, Content string
		RoomID        string `json:"room_id"`
		ID            json.RawMessage
	}
	json.Unmarshal(p, &m)
	r := f.rooms[f.in[c]]
	switch m.Type {
	case "":
		c.Ref().SendText(`{"type":"init"}`)
		c.Ref().SendText(`{"type":"room_joined","room_id":"general","offset":0}`)
	case "join_room":
		if f.rooms[m.RoomID] == nil {
			f.rooms[m.RoomID] = &fakeRoom{name: m.RoomID}
		}
		r = f.rooms[m.RoomID]
		r.members = append(r.members, c)
		f.in[c] = m.RoomID
		c.Ref().SendText(fmt.Sprintf(`{"type":"room_joined","room_id":%q,"offset":%d}`, r.name, r.offset))
	case "leave_room":
		for i, other := range r.members {
			if other == c {
				r.members = append(r.members[:i:i], r.members[i+1:]...)
				break
			}
		}
		delete(f.in, c)
		c.Ref().SendText(fmt.Sprintf(`{"type":"room_left","room_id":%q}`, r.name))
	case "chat_message":
		r.offset++
		for i, other := range r.members {
			if other != c {
				f.deliver(r, i, other.Ref(), r.offset, m.Content)
			}
		}
		f.ack(c.Ref(), r.offset, m.ID)
	}
}

func TestChatFaults(t *testing.T) {
	type deliver = func(f *fakeRoom, i int, c perch.Ref, offset int, text string)
	// some calls bad for one member and each fourth message. (Three users post in
	// turn: each third would be of the same one.)
	some := func(bad deliver) deliver {
		return func(f *fakeRoom, i int, c perch.Ref, offset int, text string) {
			if i == 1 && offset%4 == 2 {
				bad(f, i, c, offset, text)
			} else {
				f.send(c, offset, text)
			}
		}
	}
	good := some((*fakeRoom).sendTo)
	held := make(map[perch.Ref]func())
	for _, tt := range []struct {
		name    string
		deliver deliver
		ack     func(c perch.Ref, offset int, id json.RawMessage)
		want    []Fault
	}{
		{"none", good, sendAck, nil},
		{"drop", some(func(*fakeRoom, int, perch.Ref, int, string) {}), sendAck, []Fault{Lost}},
		{"duplicate", some(func(f *fakeRoom, _ int, c perch.Ref, offset int, text string) {
			f.send(c, offset, text)
			f.send(c, offset, text)
		}), sendAck, []Fault{Duplicate}},
		{"reorder", func(f *fakeRoom, i int, c perch.Ref, offset int, text string) {
			if i == 1 && offset%7 == 3 {
				held[c] = func() { f.send(c, offset, text) }
				return
			}
			f.send(c, offset, text)
			if behind := held[c]; behind != nil {
				delete(held, c)
				behind()
			}
		}, sendAck, []Fault{Reordered}},
		{"corrupt", some(func(f *fakeRoom, _ int, c perch.Ref, offset int, text string) { f.send(c, offset, text+"!") }), sendAck, []Fault{Corrupt, Lost}},
		{"not JSON", some(func(_ *fakeRoom, _ int, c perch.Ref, _ int, text string) { c.SendText(text) }), sendAck, []Fault{Corrupt, Lost}},
		{"other place", some(func(f *fakeRoom, _ int, c perch.Ref, offset int, text string) { f.send(c, offset+1, text) }), sendAck, []Fault{Corrupt, Lost}},
		{"other room", some(func(f *fakeRoom, _ int, c perch.Ref, offset int, text string) {
			other := *f
			other.name = strings.TrimSuffix(f.name, f.name[len(f.name)-1:]) + string('0'+'1'-f.name[len(f.name)-1])
			other.send(c, offset, text)
		}), sendAck, []Fault{Corrupt, Lost}},
		{"no acknowledgement", good, func(c perch.Ref, offset int, id json.RawMessage) {
			if offset != 4 {
				sendAck(c, offset, id)
			}
		}, []Fault{Corrupt, Lost}},
		{"refused", good, func(c perch.Ref, offset int, id json.RawMessage) {
			if offset == 4 {
				c.SendText(`{"type":"error","code":"busy"}`)
			}
			sendAck(c, offset, id)
		}, []Fault{Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wstest.NoLeaks(t)
			res := runUntil(t, func(d time.Duration) *Result {
				f := &fakeChat{rooms: make(map[string]*fakeRoom), in: make(map[perch.Conn]string), deliver: tt.deliver, ack: tt.ack}
				clear(held)
				return during(t, perch.Handler{OnMessage: f.message}, func(url string) *Result {
					o := chatTarget(t, url, d)
					o.Drain = drainFor(tt.want)
					if tt.want != nil { // what has not come when a user leaves may not be missed
						o.Stay = 0
					}
					return runOf(t, o)
				})
			}, func(r *Result) bool {
				// the last may be held for good
				return r.Count > 0 && hasFaults(r, tt.want) && (tt.name != "reorder" || r.Errors["lost"] == 0)
			})
			expectFaults(t, res, tt.want...)
		})
	}
}

// sendTo is send with the number of the member, which does not matter.
func (f *fakeRoom) sendTo(_ int, c perch.Ref, offset int, text string) { f.send(c, offset, text) }

func TestChatNonsense(t *testing.T) {
	for _, spoil := range []func(o *Chat){
		func(o *Chat) { o.Rooms = 0 },
		func(o *Chat) { o.Rooms = o.Conns + 1 },
		func(o *Chat) { o.Rate = 0 },
		func(o *Chat) { o.Size = -1 },
		func(o *Chat) { o.Stay = -1 },
		func(o *Chat) { o.URL = "nowhere" },
	} {
		o := chatTarget(t, "ws://127.0.0.1:1/", time.Millisecond)
		spoil(&o)
		if _, err := o.Run(t.Context()); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
