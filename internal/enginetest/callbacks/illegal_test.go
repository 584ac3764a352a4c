//go:build linux

package callbacks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// said is one message as it was received, or the end of the connection.
type said struct {
	op  perch.Opcode
	p   string
	err error
}

// target is a connection that is sent to: a member of room, signed in as user.
type target struct {
	srv  *perch.Server
	ref  perch.Ref
	room *room.Room
	user string
}

// senders are all ways to send a message.
var senders = []struct {
	name  string
	trust bool // that text is UTF-8 is the caller's word
	send  func(t *testing.T, to target, op perch.Opcode, p []byte) error
}{
	{"Conn.Send", true, func(t *testing.T, to target, op perch.Opcode, p []byte) error {
		return enginetest.Inside(t, to.ref, func(c perch.Conn) error { return c.Send(op, p) })
	}},
	{"Ref.Send", true, func(_ *testing.T, to target, op perch.Opcode, p []byte) error { return to.ref.Send(op, p) }},
	{"Conn.SendPrepared", false, func(t *testing.T, to target, op perch.Opcode, p []byte) error {
		return enginetest.Inside(t, to.ref, func(c perch.Conn) error { return c.SendPrepared(perch.Prepare(op, p)) })
	}},
	{"Ref.SendPrepared", false, func(_ *testing.T, to target, op perch.Opcode, p []byte) error {
		return to.ref.SendPrepared(perch.Prepare(op, p))
	}},
	{"Room.Publish", false, func(t *testing.T, to target, op perch.Opcode, p []byte) error {
		if op == 0 {
			return perch.ErrOpcode // a Message's zero Op is text
		}
		result := make(chan error, 1)
		to.room.Publish(room.Message{Op: op, Payload: p}, func(_ room.Receipt, err error) { result <- err })
		return wstest.Receive(t, "the receipt", result)
	}},
	{"Room.Send", false, func(_ *testing.T, to target, op perch.Opcode, p []byte) error {
		return to.room.Send(room.Frames{perch.Prepare(op, p)}, room.ClassMessage)
	}},
	{"Hub.SendUser", false, func(_ *testing.T, to target, op perch.Opcode, p []byte) error {
		_, err := to.srv.Rooms().SendUser(to.user, room.Frames{perch.Prepare(op, p)})
		return err
	}},
	{"Hub.SendMember", false, func(_ *testing.T, to target, op perch.Opcode, p []byte) error {
		return to.srv.Rooms().SendMember(to.ref.Member(), room.Frames{perch.Prepare(op, p)})
	}},
	{"Hub.SendAll", false, func(_ *testing.T, to target, op perch.Opcode, p []byte) error {
		return to.srv.Rooms().SendAll(room.Frames{perch.Prepare(op, p)})
	}},
}

// Only text and binary messages leave, and only text that is UTF-8, however they are
// sent: by a server and by a client, compressed and not. The call tells that a message
// is refused; no connection and no history sees anything of it.
func TestIllegalMessages(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprintf("compressed=%t", compressed), func(t *testing.T) {
			heard, refs := make(chan said, 1000), make(chan perch.Ref, 1)
			var members *room.Room
			handler := func(user string) perch.Handler {
				return perch.Handler{
					Settings: perch.Settings{Rate: enginetest.Unlimited, MaxMessageSize: 1 << 20},
					OnOpen: func(c perch.Conn, _ *perch.Request) {
						if _, _, err := c.SignIn(room.Identity{ID: user}); err != nil {
							t.Error(err)
						}
						if _, err := c.Join(members, room.JoinOptions{}); err != nil {
							t.Error(err)
						}
						refs <- c.Ref()
					},
					OnMessage: func(_ perch.Conn, op perch.Opcode, p []byte) { heard <- said{op, string(p), nil} },
					OnClose:   func(_ perch.Conn, err *perch.CloseError) { heard <- said{err: err} },
				}
			}
			cfg := perch.Config{Compression: perch.Compression{Disabled: !compressed, Threshold: -1}}
			srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
				members, _ = srv.Rooms().Create("members", room.Options{})
				srv.Handle("/ws", handler("server"))
			})
			if err := srv.Dial(context.Background(), enginetest.URL(srv.Addr()), handler("client")); err != nil {
				t.Fatal(err)
			}
			var ends []target
			for range 2 {
				ref := wstest.Receive(t, "OnOpen", refs)
				enginetest.Inside(t, ref, func(c perch.Conn) error {
					ends = append(ends, target{srv, ref, members, c.User().ID()})
					return nil
				})
			}
			for _, to := range ends {
				for _, s := range senders {
					t.Run(to.user+"/"+s.name, func(t *testing.T) {
						tryIllegal(t, to, s.send, s.trust, heard, strings.HasPrefix(s.name, "Room.") || s.name == "Hub.SendAll")
					})
				}
			}
			if s := srv.Stats(); s.ProtocolErrors != 0 || s.Closed != 0 || compressed != (s.CompressedSent > 0) {
				t.Errorf("%d protocol errors, %d connections closed, %d messages compressed", s.ProtocolErrors, s.Closed, s.CompressedSent)
			}
			srv.Close() // before the test ends: OnClose is told to heard
		})
	}
}

// tryIllegal sends what is illegal, and then what is not: that is the next to arrive.
func tryIllegal(t *testing.T, to target, send func(*testing.T, target, perch.Opcode, []byte) error, trust bool, heard chan said, both bool) {
	at := to.room.Position()
	text := []byte(strings.Repeat("ordinary text ", 100))
	for op := range perch.Opcode(32) {
		if op == perch.Text || op == perch.Binary {
			continue
		}
		for _, p := range [][]byte{nil, text, bytes.Repeat(text, 100)} {
			if err := send(t, to, op, p); !errors.Is(err, perch.ErrOpcode) {
				t.Errorf("%v of %d bytes: %v, want ErrOpcode", op, len(p), err)
			}
		}
	}
	if !trust {
		for _, p := range []string{"\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat("long ", 10_000) + "\xf5\x80\x80\x80"} {
			if err := send(t, to, perch.Text, []byte(p)); !errors.Is(err, perch.ErrUTF8) {
				t.Errorf("text %.10q: %v, want ErrUTF8", p, err)
			}
		}
	}
	if now := to.room.Position(); now != at {
		t.Errorf("the room has gone from %v to %v", at, now)
	}
	for _, m := range []said{{op: perch.Text, p: string(text) + "é"}, {op: perch.Binary, p: string(text) + "\xff"}} {
		if err := send(t, to, m.op, []byte(m.p)); err != nil {
			t.Errorf("%v: %v", m.op, err)
		}
		receivers := 1
		if both {
			receivers = 2
		}
		for range receivers {
			if got := wstest.Receive(t, "the message", heard); got != m {
				t.Fatalf("got %v %.20q %v, want %v %.20q", got.op, got.p, got.err, m.op, m.p)
			}
		}
	}
}

// A worker's answers go through the same check, and strings are always looked at.
func TestIllegalText(t *testing.T) {
	results := make(chan error, 10)
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{OnMessage: func(c perch.Ref, _ perch.Opcode, _ []byte) {
			results <- c.Send(frame.OpPing, nil)
			results <- c.SendPrepared(perch.Prepare(frame.OpClose, nil))
			results <- c.SendText("\xff")
			c.Do(func(c perch.Conn) { results <- c.SendText("a\xff"); c.SendText("done") })
		}})
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	for n, want := range []error{perch.ErrOpcode, perch.ErrOpcode, perch.ErrUTF8, perch.ErrUTF8} {
		if err := wstest.Receive(t, "a result", results); !errors.Is(err, want) {
			t.Errorf("send %d: %v, want %v", n, err, want)
		}
	}
	c.ExpectText("done")
}

// What is no message at all is an error too.
func TestNoMessage(t *testing.T) {
	refs := make(chan perch.Ref, 1)
	h := enginetest.Echo()
	h.OnOpen = func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }
	srv := enginetest.StartRoute(t, perch.Config{}, h)
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	for _, p := range []*perch.Prepared{nil, new(perch.Prepared)} {
		if err := ref.SendPrepared(p); !errors.Is(err, perch.ErrOpcode) {
			t.Errorf("Ref.SendPrepared: %v", err)
		}
		if err := enginetest.Inside(t, ref, func(c perch.Conn) error { return c.SendPrepared(p) }); !errors.Is(err, perch.ErrOpcode) {
			t.Errorf("Conn.SendPrepared: %v", err)
		}
	}
	if err := srv.Rooms().SendAll(room.Frames{new(perch.Prepared)}); !errors.Is(err, perch.ErrOpcode) {
		t.Errorf("SendAll: %v", err)
	}
	c.Send(wstest.Text("and it lives"))
	c.ExpectText("and it lives")
}
