package chat

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/room"
)

// Config configures the chat. A zero field means its default.
type Config struct {
	Locale     Locale         // of system messages; English
	Fixed      bool           // clients may not create rooms
	MaxMembers int            // of a room that a client makes; 1000
	Rooms      []string       // rooms that exist from the start, besides general and random
	EmptyTTL   time.Duration  // of rooms that clients make, without members; 300 s, −1: they stay
	NoChat     bool           // /ws/chat is not served
	NoRoom     bool           // /ws/room/{room_id} is not served
	Heartbeat  time.Duration  // silence before the server pings, as clients are told; 30 s
	MaxSends   int64          // bytes of memory for messages with an id; 128 MiB, −1: no limit
	Clock      clock.Clock    // nil: the real one
	Entropy    entropy.Source // nil: the system's
}

// Limits on messages of clients.
const (
	MaxContent   = 16 << 10 // bytes of a message
	maxPassword  = room.MaxPassword
	maxReply     = 64 // bytes of a message id
	maxUsername  = 4 * maxName
	maxCreations = 10 // rooms, in a minute, of one connection
	maxAttempts  = 5  // wrong passwords, in a minute, of one connection
	maxFailures  = 60 // the same for one room, by all connections together
	maxListed    = 100
	presenceEach = 100 // room.Config.PresenceEach by default
)

// DefaultMaxSends is Config.MaxSends by default.
const DefaultMaxSends = 128 << 20

// The rooms that always exist. Clients begin in the first.
const (
	generalID, generalName = "general", "General Chat"
	randomID, randomName   = "random", "Random Talk"
)

// Service is the chat of one server. Any goroutine may call its methods.
type Service struct {
	// Immutable after Mount.
	cfg      Config
	each     int // up to how many members of a room are told of each other's status
	hub      *room.Hub
	realm    *endpoint.Realm
	own      []*room.Room // rooms that always exist: general, random and the configured ones
	isOwn    map[*room.Room]bool
	names    names
	sends    *sends
	attempts attempts
	users    users
	id       string // the beginning of every message id: no other process has the same

	// Atomic.
	lastID   atomic.Uint64
	listing  atomic.Pointer[listing] // nil: there are few rooms
	looking  atomic.Bool             // a goroutine or loop makes the next listing
	nextLook atomic.Int64            // the earliest time of the next listing of very many rooms

	watches watches

	mu    sync.Mutex
	going map[*room.User]struct{} // users whose last connection is closing
}

// New makes a Service. Then call Rooms and Mount.
func New(c Config) *Service {
	c.Locale = cmp.Or(c.Locale, English)
	c.MaxMembers = cmp.Or(c.MaxMembers, 1000)
	c.EmptyTTL = cmp.Or(c.EmptyTTL, endpoint.DefaultEmptyTTL)
	c.Heartbeat = cmp.Or(c.Heartbeat, 30*time.Second)
	c.MaxSends = cmp.Or(c.MaxSends, DefaultMaxSends)
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Entropy == nil {
		c.Entropy = entropy.System{}
	}
	var b [6]byte
	c.Entropy.Fill(b[:])
	return &Service{
		cfg: c, names: newNames(c.Entropy), sends: newSends(c.Clock, c.MaxSends), id: hex.EncodeToString(b[:]) + "-",
		isOwn: make(map[*room.Room]bool), going: make(map[*room.User]struct{}), attempts: newAttempts(c.Clock),
	}
}

// Rooms returns the configuration that the server's rooms need for the chat.
func (s *Service) Rooms(c room.Config) room.Config {
	c.Encode, c.Translate, c.Announce, c.Offline = encode, translate, s.announce, s.offline
	c.Looks, c.Clock, c.Entropy = label.Looks, s.cfg.Clock, s.cfg.Entropy
	c.PresenceEach = cmp.Or(c.PresenceEach, presenceEach)
	if s.each = c.PresenceEach; s.each < 0 {
		s.each = math.MaxInt
	}
	return c
}

// Mount makes the rooms that always exist, and mounts the endpoints on a server that has not started.
func (s *Service) Mount(srv *perch.Server, realm *endpoint.Realm) error {
	s.hub, s.realm = srv.Rooms(), realm
	s.users = localUsers{s.hub}
	s.watches.s, s.watches.all = s, make(map[string]*watch)
	if err := s.furnish(); err != nil {
		return err
	}
	if !s.cfg.NoChat {
		srv.Handle("/ws/chat", realm.Handler(s.chat()))
	}
	if !s.cfg.NoRoom {
		srv.Handle("/ws/room/{room_id}", realm.Handler(s.room()))
	}
	return nil
}

// furnish makes the rooms that always exist.
func (s *Service) furnish() error {
	fixed := []room.Options{{Name: generalName}, {Name: randomName}}
	for i, id := range append([]string{generalID, randomID}, s.cfg.Rooms...) {
		o := room.Options{}
		if i < len(fixed) {
			o = fixed[i]
		}
		r, _, err := s.hub.Open(id, &o) // another node may have made it
		if err == nil && s.isOwn[r] {
			err = room.ErrExists // two of the configured rooms have this id
		}
		if err != nil {
			return fmt.Errorf("chat: room %q: %w", id, err)
		}
		s.own = append(s.own, r)
		s.isOwn[r] = true
	}
	return nil
}

// now is the time of day that clients are told.
func (s *Service) now() time.Time { return s.cfg.Clock.Wall() }

// newID makes the id of a message.
func (s *Service) newID() string { return s.id + strconv.FormatUint(s.lastID.Add(1), 36) }

// Sends returns figures about the memory for messages with an id: see Config.MaxSends.
func (s *Service) Sends() ledger.Stats { return s.sends.stats() }

// newName makes the name of a client that gives none.
func (s *Service) newName() string {
	var b [4]byte
	s.cfg.Entropy.Fill(b[:])
	return "User_" + hex.EncodeToString(b[:])
}

// setGoing notes that the last connection of u is closing, or that it is closed.
func (s *Service) setGoing(u *room.User, going bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if going {
		s.going[u] = struct{}{}
	} else {
		delete(s.going, u)
	}
}

func (s *Service) isGoing(u *room.User) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.going[u]
	return ok
}

// offline is room.Config.Offline.
func (s *Service) offline(u *room.User) { s.names.release(u.Name()) }
