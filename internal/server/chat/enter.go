package chat

import (
	"bytes"
	"context"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/room"
)

// entry is a wish to be in a room.
type entry struct {
	id       []byte // of the message, as JSON
	room     string
	password string
	since    *room.Position
	create   *room.Options // nil: not if there is no such room. Without the password
	creation string        // the password of a room that is made
	created  bool          // the room was made
	enter    func(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, key room.Key) error
	fail     func(conn perch.Conn, c *endpoint.Client, id []byte, err error)
}

// tell adds that the room was made: what a client asked for in create is of that room, and of no other.
func (e *entry) tell(joined protocol.Object) protocol.Object {
	if e.created {
		joined = joined.Bool("created", true)
	}
	return joined
}

// secret reports that the client takes the room for one with a password.
func (e *entry) secret() bool { return e.password != "" || e.creation != "" }

// errNoPassword is for who shows a password, or wants one for a room to be made, and the room is open: if it were
// dropped in silence, what is said there would be thought to be among few.
var errNoPassword = &protocol.Error{Code: protocol.CodeNoPassword, Field: "password"}

// find brings the client to the room, which may have to be made, or opened with a password: then the client waits
// until another goroutine has done with it. An error is the caller's to tell, if it comes at once.
func (s *Service) find(conn perch.Conn, c *endpoint.Client, m *member, e *entry) error {
	if err := room.CheckID(e.room); err != nil {
		return endpoint.RoomError(err)
	}
	r := endpoint.FindRoom(s.hub, e.room)
	if r != nil {
		e.room = r.ID()
	}
	if !c.Identity().MayJoin(e.room) {
		return &protocol.Error{Code: protocol.CodeForbiddenRoom}
	}
	switch {
	case r == nil && (e.create == nil || s.cfg.Fixed):
		return s.notFound(e.room)
	case r == nil:
		if !m.rarely().creations.Take(s.cfg.Clock.Now(), maxCreations) {
			return &protocol.Error{Code: protocol.CodeRateLimited, Message: "Too many rooms made; try again later."}
		}
		if e.creation != "" {
			return s.later(conn, c, e, func(ctx context.Context) (*room.Room, room.Key, error) {
				return s.createLocked(ctx, e)
			})
		}
		var err error
		if r, err = s.hub.Create(e.room, *e.create); errors.Is(err, room.ErrExists) && !s.alike(err, e.room) {
			return s.find(conn, c, m, e) // somebody was quicker
		} else if err != nil {
			return endpoint.RoomError(err)
		}
		e.created = true
	case !r.Options().Password.IsSet() && e.secret() && !conn.In(r):
		return errNoPassword
	case r.Options().Password.IsSet() && !conn.In(r):
		if !m.rarely().attempts.Take(s.cfg.Clock.Now(), maxAttempts) || !s.mayTry(r) {
			return &protocol.Error{Code: protocol.CodeTooManyAttempts}
		}
		return s.later(conn, c, e, func(ctx context.Context) (*room.Room, room.Key, error) {
			key, err := r.Unlock(ctx, e.password)
			if errors.Is(err, room.ErrPassword) {
				s.failed(r)
			}
			return r, key, err
		})
	}
	return endpoint.RoomError(e.enter(conn, c, r, e, room.Key{}))
}

// notFound says so, and which public room was perhaps meant.
func (s *Service) notFound(name string) error {
	err := &protocol.Error{Code: protocol.CodeRoomNotFound}
	if r := s.hub.Alike(name); r != nil {
		err.RoomID = r.ID()
	}
	return err
}

// alike reports that err says that a room would be taken for another one, which is not called so.
func (s *Service) alike(err error, name string) bool {
	a, ok := errors.AsType[*room.AlikeError](err)
	return ok && !a.Room.Closed() && endpoint.FindRoom(s.hub, name) == nil
}

// made is what a room is like that a user makes.
func (s *Service) made(by *room.User) *room.Options {
	return &room.Options{Owner: by.ID(), MaxMembers: s.cfg.MaxMembers, TTL: max(s.cfg.EmptyTTL, 0)}
}

// createLocked makes a room with a password.
func (s *Service) createLocked(ctx context.Context, e *entry) (*room.Room, room.Key, error) {
	o := *e.create
	var err error
	if o.Password, err = s.hub.Hash(ctx, e.creation); err != nil {
		return nil, room.Key{}, err
	}
	r, err := s.hub.Create(e.room, o)
	e.created = err == nil
	password := e.creation
	if errors.Is(err, room.ErrExists) { // somebody was quicker: then it is like joining
		if r = s.hub.Room(e.room); r != nil {
			password, err = e.password, nil
		}
	}
	switch {
	case err != nil:
		return nil, room.Key{}, err
	case !r.Options().Password.IsSet():
		return nil, room.Key{}, errNoPassword
	}
	key, err := r.Unlock(ctx, password)
	return r, key, err
}

// opened is a room with a key to it.
type opened struct {
	room *room.Room
	key  room.Key
}

// later does work that takes its time on a goroutine of its own, while the client waits. How many there are at a
// time is bounded by the hub, which answers others with ErrBusy.
func (s *Service) later(conn perch.Conn, c *endpoint.Client, e *entry, work func(context.Context) (*room.Room, room.Key, error)) error {
	e.id = bytes.Clone(e.id)
	return endpoint.Await(conn, c, endpoint.Wait[opened]{
		ID:       e.id,
		Patience: -1, // the hub bounds how much there is to do
		Start: func(answer func(opened, error)) {
			s.realm.Spawn(spawn.Password, func() {
				r, key, err := work(context.Background())
				answer(opened{r, key}, err)
			})
		},
		Then: func(conn perch.Conn, c *endpoint.Client, o opened, err error) error {
			if err == nil {
				err = e.enter(conn, c, o.room, e, o.key)
			}
			if err != nil {
				e.fail(conn, c, e.id, endpoint.RoomError(err))
			}
			return nil
		},
	})
}

// mayTry reports whether another password may be tried on a room: with a new connection for each try a
// connection's own limit is none.
func (s *Service) mayTry(r *room.Room) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.failures[r]
	if b == nil {
		return true
	}
	again := *b
	return again.Take(s.cfg.Clock.Now(), maxFailures)
}

// failed counts a wrong password.
func (s *Service) failed(r *room.Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) > 1024 { // those of rooms that are no more
		for r := range s.failures {
			if r.Closed() {
				delete(s.failures, r)
			}
		}
	}
	if s.failures[r] == nil {
		s.failures[r] = new(protocol.Budget)
	}
	s.failures[r].Take(s.cfg.Clock.Now(), maxFailures)
}

// position reads {epoch, offset}; nil if it is not there.
func position(m protocol.Message, name string) (*room.Position, error) {
	o, ok, err := m.Object(name)
	if err != nil || !ok {
		return nil, err
	}
	return positionOf(o)
}

func positionOf(o protocol.Message) (*room.Position, error) {
	epoch, err := o.String("epoch", maxReply, true)
	if err != nil {
		return nil, err
	}
	offset, _, err := o.Uint64("offset")
	return &room.Position{Epoch: epoch, Offset: offset}, err
}

// replay sends what a client has missed. room.Config bounds how much that is, so that nobody is closed as too
// slow for having been away.
func replay(conn perch.Conn, j *room.Joined) {
	for _, f := range j.Missed {
		_ = conn.SendPrepared(f)
	}
}
