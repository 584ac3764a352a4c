package chat

import (
	"context"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/room"
)

// entry is a client's request to enter a room.
type entry struct {
	id       []byte // of the message, as JSON
	room     string
	password string
	since    *room.Position
	create   *room.Options // for a room that does not exist, without the password; nil: it is not made
	creation string        // the password of a room that is made
	created  bool          // the room was made
	enter    func(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, key room.Key) error
	fail     failing
	done     func() // called when the client has joined, or was told the error; nil: the caller does the rest
}

// failing tells a client that it cannot enter the room.
type failing = func(conn perch.Conn, c *endpoint.Client, id []byte, err error)

// ownedBy sets the owner of a room that is made.
func (e *entry) ownedBy(u *room.User) {
	if e.create != nil {
		e.create.Owner = u.ID()
	}
}

// told ends a step of an entry: it tells the client about an error.
func (e *entry) told(conn perch.Conn, c *endpoint.Client, err error) error {
	if err != nil {
		e.fail(conn, c, e.id, endpoint.RoomError(err))
	}
	return nil
}

// join joins the room, and continues with entered. If the broker must be asked, or done is set, an error goes to the
// client; otherwise the caller must tell it.
func (e *entry) join(conn perch.Conn, c *endpoint.Client, r *room.Room, o room.JoinOptions,
	entered func(conn perch.Conn, c *endpoint.Client, j room.Joined),
) error {
	if r == nil {
		return room.ErrNotFound
	}
	later := false
	then := func(conn perch.Conn, c *endpoint.Client, j room.Joined, err error) error {
		if err == nil {
			entered(conn, c, j)
		} else if later || e.done != nil {
			err = e.told(conn, c, err)
		}
		if e.done != nil {
			e.done()
		}
		return err
	}
	err := endpoint.JoinRoom(conn, c, e.id, r, o, then)
	later = true
	return err
}

// tell adds that the room was made: only then do the options in create hold for it.
func (e *entry) tell(joined protocol.Object) protocol.Object {
	if e.created {
		joined = joined.Bool("created", true)
	}
	return joined
}

// secret reports whether the client expects a room with a password.
func (e *entry) secret() bool { return e.password != "" || e.creation != "" }

// errNoPassword refuses a password for a room without one. If the password were ignored, the client would believe
// that few can read its messages.
var errNoPassword = &protocol.Error{Code: protocol.CodeNoPassword, Field: "password"}

// find brings the client to the room. The room may first have to be opened by the broker, made, or unlocked with a
// password: then the client waits. The caller must tell an error that find returns; later ones are told by e.fail.
func (s *Service) find(conn perch.Conn, c *endpoint.Client, m *member, e *entry) error {
	if err := room.CheckID(e.room); err != nil {
		return endpoint.RoomError(err)
	}
	if r := endpoint.FindRoom(s.hub, e.room); r != nil {
		e.room = r.ID()
	}
	if !c.Identity().MayJoin(e.room) {
		return &protocol.Error{Code: protocol.CodeForbiddenRoom}
	}
	then := func(conn perch.Conn, c *endpoint.Client, o endpoint.Opened, err error) error {
		return e.told(conn, c, s.found(conn, c, m, e, o.Room, err))
	}
	return endpoint.OpenRoom(conn, c, e.id, e.room, nil, then)
}

// found continues with the room, if there is one.
func (s *Service) found(conn perch.Conn, c *endpoint.Client, m *member, e *entry, r *room.Room, err error) error {
	if errors.Is(err, room.ErrNotFound) {
		return s.create(conn, c, m, e)
	}
	if err != nil {
		return err
	}
	if !conn.In(r) {
		switch locked := r.Options().Password.IsSet(); {
		case locked:
			return s.unlock(conn, c, m, r, e)
		case e.secret():
			return errNoPassword
		}
	}
	return e.enter(conn, c, r, e, room.Key{})
}

// notFound makes an error that names the public room that was perhaps meant.
func (s *Service) notFound(name string) error {
	err := &protocol.Error{Code: protocol.CodeRoomNotFound}
	if r := s.hub.Alike(name); r != nil {
		err.RoomID = r.ID()
	}
	return err
}

// alike reports whether err says that a room would look like another one, which has a different name.
func (s *Service) alike(err error, name string) bool {
	a, ok := errors.AsType[*room.AlikeError](err)
	return ok && !a.Room.Closed() && endpoint.FindRoom(s.hub, name) == nil
}

// made returns the options of rooms that users make.
func (s *Service) made() *room.Options {
	return &room.Options{MaxMembers: s.cfg.MaxMembers, TTL: max(s.cfg.EmptyTTL, 0)}
}

// create makes the room, if the client wants that and may do it.
func (s *Service) create(conn perch.Conn, c *endpoint.Client, m *member, e *entry) error {
	if e.create == nil || s.cfg.Fixed {
		return s.notFound(e.room)
	}
	if !m.rarely().creations.Take(s.cfg.Clock.Now(), maxCreations) {
		return &protocol.Error{Code: protocol.CodeRateLimited, Message: "Too many rooms made; try again later."}
	}
	e.create.Payer = room.Payer(c.Payer(conn))
	if e.creation == "" {
		return s.make(conn, c, m, e, *e.create)
	}
	hash := func(ctx context.Context) (room.Password, error) { return s.hub.Hash(ctx, e.creation) }
	return apart(s, conn, c, e, hash, func(conn perch.Conn, c *endpoint.Client, p room.Password) error {
		o := *e.create
		o.Password = p
		return s.make(conn, c, m, e, o)
	})
}

// make makes the room with these options. If another client is quicker, this one joins that client's room.
func (s *Service) make(conn perch.Conn, c *endpoint.Client, m *member, e *entry, o room.Options) error {
	then := func(conn perch.Conn, c *endpoint.Client, is endpoint.Opened, err error) error {
		return e.told(conn, c, s.afterMake(conn, c, m, e, is, err))
	}
	return endpoint.OpenRoom(conn, c, e.id, e.room, &o, then)
}

func (s *Service) afterMake(conn perch.Conn, c *endpoint.Client, m *member, e *entry, is endpoint.Opened, err error) error {
	switch r := is.Room; {
	case errors.Is(err, room.ErrExists) && e.creation == "" && !s.alike(err, e.room):
		return s.find(conn, c, m, e)
	case err != nil:
		return err
	case is.Made:
		e.created = true
		return e.enter(conn, c, r, e, room.MasterKey()) // its maker knows the password
	case e.creation == "":
		return s.find(conn, c, m, e)
	case r.Closed():
		return room.ErrExists
	default:
		return s.found(conn, c, m, e, r, nil)
	}
}

// unlock gives the room the password, and enters it.
func (s *Service) unlock(conn perch.Conn, c *endpoint.Client, m *member, r *room.Room, e *entry) error {
	if !m.rarely().attempts.Take(s.cfg.Clock.Now(), maxAttempts) {
		return &protocol.Error{Code: protocol.CodeTooManyAttempts}
	}
	return endpoint.Await(conn, c, endpoint.Wait[bool]{
		ID:    e.id,
		Start: func(_ perch.Conn, answer func(bool, error)) { s.attempts.may(r, answer) },
		Then: func(conn perch.Conn, c *endpoint.Client, may bool, err error) error {
			if err == nil && !may {
				err = &protocol.Error{Code: protocol.CodeTooManyAttempts}
			}
			if err != nil {
				return e.told(conn, c, err)
			}
			show := func(ctx context.Context) (room.Key, error) {
				key, err := r.Unlock(ctx, e.password)
				if errors.Is(err, room.ErrPassword) {
					s.attempts.failed(r)
				}
				return key, err
			}
			return apart(s, conn, c, e, show, func(conn perch.Conn, c *endpoint.Client, key room.Key) error {
				return e.enter(conn, c, r, e, key)
			})
		},
	})
}

// apart runs slow work for an entry on a goroutine of its own, while the client waits, and continues with the result.
// The hub bounds how much runs at a time, and answers ErrBusy beyond that.
func apart[T any](s *Service, conn perch.Conn, c *endpoint.Client, e *entry, work func(context.Context) (T, error),
	then func(conn perch.Conn, c *endpoint.Client, v T) error,
) error {
	return endpoint.Await(conn, c, endpoint.Wait[T]{
		ID:       e.id,
		Patience: -1, // the hub bounds how much work there is
		Start: func(_ perch.Conn, answer func(T, error)) {
			s.realm.Spawn(spawn.Password, func() { answer(work(context.Background())) })
		},
		Then: func(conn perch.Conn, c *endpoint.Client, v T, err error) error {
			if err == nil {
				err = then(conn, c, v)
			}
			return e.told(conn, c, err)
		},
	})
}

// position reads {epoch, offset}; nil if it is absent.
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

// replay sends the messages that a client has missed. room.Config bounds their size, so that no client is closed as
// too slow because of them.
func replay(conn perch.Conn, j *room.Joined) {
	for _, f := range j.Missed {
		_ = conn.SendPrepared(f)
	}
}
