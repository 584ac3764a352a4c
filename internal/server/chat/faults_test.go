package chat

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// The design with which this server began had faults. Each test is named after one, and fails if it comes back.

// Nothing waited for the call that checked the token.
func TestFaultAnyTokenPassed(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	good := sign(t, auth.Claims{Subject: "ada"})
	flipped := []byte(good)
	flipped[len(flipped)-10] ^= 1
	for _, token := range []string{"x", "a.b.c", string(flipped), strings.TrimRight(good[:strings.LastIndex(good, ".")], ".") + "."} {
		inFrame := s.dial("/ws/chat")
		inFrame.say(object{"token": token})
		atRoom := s.dial("/ws/room/general")
		atRoom.say(object{"type": "join", "token": token})
		inQuery := s.dial("/ws/chat?token=" + token)
		inQuery.say(object{})
		queryAtRoom := s.dial("/ws/room/general?token=" + token)
		queryAtRoom.say(object{"type": "join"})
		for _, c := range []*client{inFrame, atRoom, inQuery, queryAtRoom} {
			c.next("error")
			if reason := c.AnswerClose(perch.ClosePolicyViolation); reason != "Invalid token" {
				t.Errorf("%q: closed with %q", token, reason)
			}
		}
	}
	if n := s.Rooms().Stats().Users; n != 0 {
		t.Errorf("%d users", n)
	}
	c, init := s.signIn(object{"token": good})
	c.enters("general")
	if init["user_id"] != "ada" {
		t.Error(init)
	}
}

// The type of content and the type of message were one field: no chat message could be sent.
func TestFaultContentKindInVerb(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob := s.named("Bob", ada)
	for _, kind := range []string{"text", "image", "file"} {
		ada.say(object{"type": "chat_message", "message_type": kind, "content": "x"})
		ada.next("message_sent")
		if o := bob.next("message"); o["message"].(object)["message_type"] != kind {
			t.Error(o)
		}
		ada.say(object{"type": kind, "content": "x"})
		ada.fails("unknown_type")
	}
}

// Session ids could be predicted.
func TestFaultPredictableSessions(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	var keys [][]byte
	for range 50 {
		c, init := s.signIn(object{})
		key, err := base64.RawURLEncoding.DecodeString(init["session"].(string))
		if err != nil || len(key) < 16 {
			t.Fatalf("%v, %d bytes", err, len(key))
		}
		if strings.Contains(init["user_id"].(string), init["session"].(string)[:8]) {
			t.Error("the user's id, which is public, reveals part of the key")
		}
		keys = append(keys, key)
		c.Close()
	}
	for i, a := range keys {
		for _, b := range keys[:i] {
			differ := 0
			for k := range a {
				differ += bits.OnesCount8(a[k] ^ b[k])
			}
			if differ < 8*len(a)/4 { // about half of them
				t.Errorf("%x and %x differ in %d bits", a, b, differ)
			}
		}
	}
}

// Sessions were kept in a format that can execute code, with everything in them.
func TestFaultPickledSessions(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	key, err := session.ParseKey(init["session"].(string))
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Ada\ntea\n" + s.Rooms().Room("tea").Position().Epoch; held.State != want {
		t.Errorf("kept %q, want %q", held.State, want)
	}
}

// The password of a room was in the URL, kept in plain text, and shown by room_info.
func TestFaultPasswordInTheOpen(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, _ := s.joins("tea", object{"create": object{"password": "Darjeeling"}})
	for _, path := range []string{"/ws/room/tea?password=Darjeeling", "/ws/room/tea?token=&password=Darjeeling"} {
		c := s.dial(path)
		c.say(object{"type": "join"})
		c.isRefused("wrong_password")
	}
	if kept := fmt.Sprintf("%+v %#v", s.Rooms().Room("tea").Options(), s.Rooms().Room("tea").Options().Password); strings.Contains(kept, "Darjeeling") {
		t.Errorf("kept in plain text: %s", kept)
	}
	bob := s.dial("/ws/chat")
	bob.say(object{})
	said := func(c *client, n int) {
		t.Helper()
		for range n {
			if _, p := c.NextMessage(); strings.Contains(string(p), "Darjeeling") {
				t.Errorf("sent to a client: %s", p)
			}
		}
	}
	said(bob, 3) // init, room_joined, welcome
	bob.say(object{"type": "list_rooms"})
	said(bob, 1)
	for _, typ := range []string{"room_info", "list"} {
		ada.say(object{"type": typ})
		said(ada, 1)
	}
}

// Any page could connect, with the cookies of its visitor.
func TestFaultNoOriginCheck(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, path := range []string{"/ws/chat", "/ws/room/general"} {
		c := wstest.Connect(t, s.Addr().String())
		c.Write(wstest.Request(s.Addr().String(), path, "Origin: http://evil.example"))
		if r := c.ReadResponse(); r.Status != 403 {
			t.Errorf("%s: status %d, want 403", path, r.Status)
		}
		wstest.Dial(t, s.Addr().String(), path, "Origin: http://"+s.Addr().String())
	}
}

// Limits were configured, but never checked. (The limits of fields, passwords and errors have tests of their own.)
func TestFaultLimitsNotEnforced(t *testing.T) {
	s := start(t, Config{MaxMembers: 2}, room.Config{})
	large := s.named("Large")
	large.raw(`{"type":"ping","x":"` + strings.Repeat("x", 64<<10) + `"}`)
	large.ExpectFail(frame.CloseMessageTooBig)
	large.Close()
	wstest.Eventually(t, "it is gone", func() bool { return s.store.Stats().Attached == 0 })

	often := s.named("Often", s.named("Other"))
	for range 250 {
		if often.TrySend(wstest.Text(`{"type":"pong"}`)) != nil {
			break
		}
	}
	if reason := often.AnswerClose(perch.ClosePolicyViolation); reason != "too many messages" {
		t.Errorf("closed with %q", reason)
	}

	first := s.named("First")
	first.goes(object{"room_id": "tea"})
	s.joins("tea", nil)
	third := s.dial("/ws/room/tea")
	third.say(object{"type": "join"})
	third.isRefused("room_full")
}

// A client that came back was accepted or not at random.
func TestFaultReconnectByCoinToss(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	for i := range 40 {
		s.cut(ada)
		var is object
		ada, is = s.signIn(justSession(was))
		ada.enters("general")
		if is["resumed"] != true || is["username"] != "Ada" || is["user_id"] != was["user_id"] {
			t.Fatalf("the %dth time: %v", i+1, is)
		}
	}
}

// A message was encoded once for each receiver, by a task of its own.
func TestFaultOneEncodingPerReceiver(t *testing.T) {
	var encoded, translated atomic.Int64
	svc := New(Config{})
	cfg := svc.Rooms(room.Config{})
	encode, translate := cfg.Encode, cfg.Translate
	cfg.Encode = func(dst []byte, room string, offset uint64, payload []byte) []byte {
		encoded.Add(1)
		return encode(dst, room, offset, payload)
	}
	cfg.Translate = func(dst []byte, d room.Dialect, room string, message []byte) []byte {
		translated.Add(1)
		return translate(dst, d, room, message)
	}
	s := startWith(t, svc, cfg)
	before := runtime.NumGoroutine()
	var members, programs []*client
	for range 20 {
		c, _ := s.signIn(object{})
		c.next("room_joined")
		members = append(members, c)
		r, _ := s.joins("general", nil)
		programs = append(programs, r)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines for 40 members", n-before)
	}
	members[0].say(object{"type": "chat_message", "content": "x"})
	until := func(c *client, typ string) {
		for {
			if _, p := c.NextMessage(); parse(t, p)["type"] == typ {
				return
			}
		}
	}
	for _, c := range members[1:] {
		until(c, "message")
	}
	for _, c := range programs {
		until(c, "chat_message")
	}
	if encoded.Load() != 1 || translated.Load() != 1 {
		t.Errorf("one message to 39 members: encoded %d times, translated %d times", encoded.Load(), translated.Load())
	}
}

// Full queues dropped messages without an error. Now a publisher is told (TestQueueFull), a member is closed
// (TestSlowMember), and a client that comes back knows whether it missed messages.
func TestFaultSilentDrop(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxHistory: 10})
	ada, was := s.signIn(object{})
	joined := ada.enters("general")
	for missed, recovered := range map[int]bool{10: true, 11: false} {
		s.cut(ada)
		from := int(s.Rooms().Room(generalID).Position().Offset)
		s.publish(s.Rooms().Room(generalID), missed, "x")
		ada, _ = s.signIn(resume(was, joined, from))
		if o := ada.next("room_joined"); o["recovered"] != recovered {
			t.Errorf("%d missed of 10 that are kept: %v", missed, o)
		}
	}
}

// room_closed was queued, and then the task that would have sent it was cancelled.
func TestFaultRoomClosedCancelled(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	owner, _ := s.joins("tea", object{"create": object{}})
	var members []*client
	for range 10 {
		c, _ := s.joins("tea", nil)
		members = append(members, c)
	}
	for range members {
		owner.next("user_joined")
	}
	for i, c := range members {
		for range len(members) - 1 - i {
			c.next("user_joined")
		}
	}
	s.publish(s.Rooms().Room("tea"), 20, strings.Repeat("x", 1000))
	owner.say(object{"type": "delete"})
	for _, c := range members {
		for range 20 {
			c.next("chat_message")
		}
		c.next("room_closed")
		c.quiet()
	}
}

// "online" was announced before any client could hear it, and "offline" never.
func TestFaultStatusNobodyHears(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	for _, end := range []func(*client){func(c *client) { c.Reset() }, func(c *client) { c.CloseHandshake(perch.CloseNormal) }} {
		bob, init := s.signIn(object{"username": "Bob"})
		bob.enters("general")
		for _, want := range []string{"online", "offline"} {
			if want == "offline" {
				end(bob)
			}
			event := ada.next("system_message")["message"].(object)["event"]
			o := ada.next("user_status")
			if o["status"] != want || o["user_id"] != init["user_id"] || o["username"] != "Bob" || event != map[string]any{"online": "joined", "offline": "offline"}[want] {
				t.Errorf("%v with event %v, want %s", o, event, want)
			}
		}
	}
	ada.say(object{"type": "list_users"})
	if o := ada.next("user_list"); o["user_count"] != 1.0 {
		t.Error(o)
	}
}

// Four processes had four separate chats.
func TestFaultSeparateChats(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	var all []*client
	loops := make(map[uint32]bool)
	for len(all) < 8 || len(loops) < 2 {
		c, init := s.signIn(object{})
		c.enters("general")
		for _, o := range all {
			o.next("system_message")
			o.next("user_status")
		}
		all = append(all, c)
		loops[s.Rooms().Connections(s.Rooms().User(init["user_id"].(string)))[0].Loop] = true
		if len(all) > 50 {
			t.Fatal("all on one loop")
		}
	}
	for i, c := range all {
		c.posts(fmt.Sprint(i))
		for _, o := range slices.Concat(all[:i], all[i+1:]) {
			o.hears(fmt.Sprint(i))
		}
	}
	all[0].say(object{"type": "list_users"})
	if o := all[0].next("user_list"); o["user_count"] != float64(len(all)) {
		t.Error(o)
	}
}
