package chat

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// watch is the list of rooms as it was told to clients that asked for changes. A goroutine of its own looks at the
// rooms, once for all clients, and only while there are any; the changes are encoded once, and sent like a message of
// a room.
type watch struct {
	// Immutable.
	audience *room.Room // the clients that watch
	limited  bool       // their tokens are for some rooms
	rooms    []string   // of these tokens
	key      string     // in watches

	mu       sync.Mutex // short; taken before a room's
	running  bool
	told     *listing // the list that the audience has
	sequence uint64   // of the last changes
}

// How often the watchers are told at most, and further bounds on that.
const (
	watchEach  = time.Second
	watchBytes = 16 << 20 // bytes a second to all of them together
	watchShare = 20       // looking takes at most one part in so many of a processor's time
)

// watchRooms handles list_rooms{watch}: it sends the list now and changes from now on, or ends that.
func (s *Service) watchRooms(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	on, err := m.Bool("watch", false)
	if err != nil {
		return err
	}
	if !on {
		if m.Raw("watch") != nil {
			me.unwatch(conn)
		}
		return s.listRooms(conn, c, me, m)
	}
	return s.watches.start(conn, c, me, m.ID())
}

// join adds a connection. It gets all changes after that sequence.
func (w *watch) join(s *Service, conn perch.Conn) (l *listing, sequence uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := conn.Join(w.audience, room.JoinOptions{}); err != nil && !errors.Is(err, room.ErrJoined) {
		return nil, 0, err
	}
	if !w.running {
		w.running, w.told = true, w.list(s)
		s.realm.After(watchEach, func() { w.run(s) })
	}
	return w.told, w.sequence, nil
}

// run tells the changes, and runs again later if there are watchers.
func (w *watch) run(s *Service) {
	if pause := w.tell(s); pause > 0 {
		s.realm.After(pause, func() { w.run(s) })
	}
}

// tell tells the changes. pause is how long to wait before the next ones; 0: nobody watches, so there are none.
func (w *watch) tell(s *Service) (pause time.Duration) {
	if w.over(s) {
		return 0
	}
	start := s.cfg.Clock.Now()
	l := w.look(s, start)
	pause = max(watchEach, watchShare*time.Duration(s.cfg.Clock.Now()-start))
	w.mu.Lock()
	defer w.mu.Unlock()
	o, changed := difference(w.told, l, w.sequence+1)
	if !changed {
		return pause
	}
	w.sequence++
	w.told = l
	p := o.Time("timestamp", s.now()).End()
	w.audience.Send(room.Frames{dialectChat: text(p)}, room.ClassPresence)
	return max(pause, paceOf(len(p), w.audience.Connections()))
}

// paceOf is the time that it takes to send so many bytes to so many watchers, at watchBytes a second.
func paceOf(bytes, watchers int) time.Duration {
	return time.Duration(float64(bytes) * float64(watchers) / watchBytes * float64(time.Second)).Truncate(time.Millisecond)
}

func (w *watch) over(s *Service) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.audience.Connections() > 0 {
		return false
	}
	w.running, w.told = false, nil
	s.watches.forget(w)
	return true
}

// difference makes a message of the rooms of b that are new or changed since a, and of those that are gone.
func difference(a, b *listing, sequence uint64) (o protocol.Object, changed bool) {
	was := make(map[string][]byte, len(a.rooms))
	for _, r := range a.rooms {
		was[r.id] = r.json
	}
	var list []byte
	for _, r := range b.rooms {
		if !bytes.Equal(was[r.id], r.json) {
			list = append(append(list, ','), r.json...)
		}
		delete(was, r.id)
	}
	var gone []string
	for _, r := range a.rooms {
		if _, ok := was[r.id]; ok {
			gone = append(gone, r.id)
		}
	}
	if len(list) == 0 && len(gone) == 0 {
		return o, false
	}
	if len(list) > 0 {
		list = list[1:]
	}
	list = append(append([]byte{'['}, list...), ']')
	return protocol.NewObject(nil, protocol.TypeRooms).Uint("sequence", sequence).Raw("rooms", list).Strings("gone", gone), true
}
