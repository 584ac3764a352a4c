package endpoint

import (
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/session"
)

// Defaults of Config.
const (
	DefaultFirstFrame = 10 * time.Second
	DefaultPatience   = 5 * time.Second
	DefaultMaxErrors  = 10
	DefaultEmptyTTL   = 300 * time.Second
)

// Config says what the endpoints have to go by. Auth and one of Sessions and Remote are needed; any other zero
// field means its default.
type Config struct {
	Auth     *auth.Verifier // in open mode one that knows the development key
	Required bool           // a token is needed. Without: anonymous clients are welcome, a bad token is still refused
	Cookie   string         // name of the cookie that may carry a token; "": none

	Sessions session.Store                       // a store that answers at once: it is called on loops, and must not block
	Remote   session.Async                       // in place of Sessions: a store that may wait
	Patience time.Duration                       // how long a client waits for an answer; 5 s, −1: for ever
	Find     func(perch.ID) perch.Ref            // finds a connection of this process; nil: none is found
	Upgrade  func(*perch.Request) perch.Response // is asked before every upgrade; nil: accepts

	// Elsewhere closes a connection of another process, or does nothing if there is none. It is called by any goroutine
	// and must not block. nil: there are no others.
	Elsewhere func(id perch.ID, code perch.CloseCode, reason string)

	CreateRooms bool          // a client may subscribe to a room that is not there yet
	MaxMembers  int           // of a room made so; 0: no limit
	EmptyTTL    time.Duration // of a room made so, without members; 300 s, −1: it stays

	FirstFrame time.Duration // how long a client may take to say who it is; 10 s, −1: for ever
	MaxErrors  int           // in a minute, of one connection; one more closes it with 1008. 10, −1: no limit
	// bytes of what clients send while they wait for an answer, of all together; 64 MiB, −1: no limit
	MaxWaiting int64

	Meter Meter        // nil: nothing is measured
	Log   *slog.Logger // nil: nothing is logged
	Clock clock.Clock  // nil: the real one
}

// Meter is told of every message and every error, on event loops: it must not block. typ and kind are as
// they were found: typ may be anything a client sends.
type Meter interface {
	Message(endpoint, typ string, size int, took time.Duration)
	Error(endpoint, kind string)
}

// Realm is what endpoints share. Any goroutine. Make one with New; Close it when the server is closed.
type Realm struct {
	cfg       Config
	expiries  *alarms         // of tokens
	deadlines *alarms         // all other
	backlogs  *ledger.Account // bytes of messages that wait, of all clients
	begun     begun
}

// New makes a Realm.
func New(c Config) *Realm {
	if c.FirstFrame == 0 {
		c.FirstFrame = DefaultFirstFrame
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.MaxErrors == 0 {
		c.MaxErrors = DefaultMaxErrors
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = DefaultMaxWaiting
	}
	if c.EmptyTTL == 0 {
		c.EmptyTTL = DefaultEmptyTTL
	}
	if c.Find == nil {
		c.Find = func(perch.ID) perch.Ref { return perch.Ref{} }
	}
	if c.Elsewhere == nil {
		c.Elsewhere = func(perch.ID, perch.CloseCode, string) {}
	}
	if c.Upgrade == nil {
		c.Upgrade = func(*perch.Request) perch.Response { return perch.Response{} }
	}
	if c.Meter == nil {
		c.Meter = unmetered{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	r := &Realm{cfg: c, backlogs: ledger.NewAccount(c.MaxWaiting)}
	r.expiries = wallAlarms(c.Clock, r.expired)
	r.deadlines = monotonicAlarms(c.Clock, r.overdue)
	return r
}

// Now is the time of day, as clients are told.
func (r *Realm) Now() time.Time { return r.cfg.Clock.Wall() }

type unmetered struct{}

func (unmetered) Message(string, string, int, time.Duration) {}
func (unmetered) Error(string, string)                       {}
