package chat

import (
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
)

// watches are the lists that clients watch: the list of all rooms, and one list for each set of rooms in tokens.
type watches struct {
	s *Service // immutable after Mount

	mu  sync.Mutex // taken after the mutex of a watch
	all map[string]*watch
}

// maxWatches bounds the number of lists that are watched.
const maxWatches = 1000

// of returns the watch of the list that a client may see. An error if there are too many other lists.
func (ws *watches) of(c *endpoint.Client) (*watch, error) {
	rooms, key := c.Identity().Rooms, ""
	limited := rooms != nil
	if limited {
		rooms = roomsOf(rooms)
		key = "\n" + strings.Join(rooms, "\n")
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.all[key]; w != nil {
		return w, nil
	}
	if len(ws.all) >= maxWatches && limited {
		return nil, &protocol.Error{Code: protocol.CodeBusy}
	}
	w := &watch{audience: ws.s.hub.Audience(), limited: limited, rooms: rooms, key: key}
	ws.all[key] = w
	return w, nil
}

// forget drops a watch that nobody watches. A client that joins it at the same time keeps it, and the next client
// makes another one.
func (ws *watches) forget(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all[w.key] == w {
		delete(ws.all, w.key)
	}
}

// start has a client watch the list that it may see, and sends the list.
func (ws *watches) start(conn perch.Conn, c *endpoint.Client, me *member, id []byte) error {
	w, err := ws.of(c)
	if err != nil {
		return err
	}
	l, sequence, err := w.join(ws.s, conn)
	if err != nil {
		return endpoint.RoomError(err)
	}
	me.rarely().watching = w
	send(conn, protocol.NewObject(nil, protocol.TypeRoomList).ID(id).Raw("rooms", me.withOwn(l.json)).
		Uint("sequence", sequence).Time("timestamp", ws.s.now()))
	return nil
}

// unwatch ends a watch, if there is one.
func (m *member) unwatch(conn perch.Conn) {
	if m.rare != nil && m.rare.watching != nil {
		_, _ = conn.Leave(m.rare.watching.audience)
		m.rare.watching = nil
	}
}

// again is for a client with a new token: from now on it watches the list that this token lets it see.
func (ws *watches) again(conn perch.Conn, c *endpoint.Client, me *member) {
	if me.rare == nil || me.rare.watching == nil || me.rare.watching.isFor(c.Identity().Rooms) {
		return
	}
	me.unwatch(conn)
	if err := ws.start(conn, c, me, nil); err != nil {
		c.Fail(conn, nil, err)
	}
}

// isFor reports whether the watch is for tokens with these rooms.
func (w *watch) isFor(rooms []string) bool {
	return w.limited == (rooms != nil) && slices.Equal(roomsOf(rooms), w.rooms)
}

// list returns the list as it is now. It may be called on a loop.
func (w *watch) list(s *Service) *listing {
	if w.limited {
		return listOf(s, w.rooms)
	}
	return s.list()
}

// look returns the list as it is now, however long that takes.
func (w *watch) look(s *Service, now int64) *listing {
	if w.limited {
		return listOf(s, w.rooms)
	}
	return s.look(now, math.MaxInt)
}
