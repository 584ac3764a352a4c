package endpoint

import (
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
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

// Config configures the endpoints. Auth and one of Sessions and Remote are needed; any other zero field means its
// default.
type Config struct {
	Auth     *auth.Verifier // in open mode, one with the development key
	Required bool           // a token is needed; else clients may be anonymous, but a bad token is still refused
	Cookie   string         // name of the cookie that may carry a token; "": none

	Sessions session.Store                       // a store that answers at once: it is called on loops, and must not block
	Remote   session.Async                       // instead of Sessions: a store that may wait
	Patience time.Duration                       // how long a client waits for an answer; 5 s, −1: for ever
	Find     func(perch.ID) perch.Ref            // finds a connection of this process; nil: finds none
	Upgrade  func(*perch.Request) perch.Response // called before every upgrade; nil: accepts

	// Elsewhere closes a connection of another process, if there is one. It is called by any goroutine and must not
	// block. nil: there are no other processes.
	Elsewhere func(id perch.ID, code perch.CloseCode, reason string)

	CreateRooms bool          // clients may subscribe to rooms that do not exist yet
	MaxMembers  int           // of rooms made in this way; 0: no limit
	EmptyTTL    time.Duration // of rooms made in this way, without members; 300 s, −1: they stay

	FirstFrame time.Duration // how long a client may take for its first message; 10 s, −1: for ever
	MaxErrors  int           // in a minute, of one connection; one more closes it with 1008. 10, −1: no limit
	// bytes of messages that all clients together have sent while they wait for answers; 64 MiB, −1: no limit
	MaxWaiting int64

	Meter   Meter          // nil: nothing is measured
	Log     *slog.Logger   // nil: nothing is logged
	Clock   clock.Clock    // nil: the real one
	Entropy entropy.Source // nil: the system's
}

// Meter gets every message and every error, on event loops: it must not block. typ and kind are unchecked: typ may be
// any text of a client.
type Meter interface {
	Message(endpoint, typ string, size int, took time.Duration)
	Error(endpoint, kind string)
}

// Realm is the part that endpoints share. Any goroutine may call its methods. Make one with New, and Close it when
// the server is closed.
type Realm struct {
	cfg       Config
	expiries  *alarms         // of tokens
	deadlines *alarms         // all others
	backlogs  *ledger.Account // bytes of waiting messages of all clients
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
	if c.Entropy == nil {
		c.Entropy = entropy.System{}
	}
	r := &Realm{cfg: c, backlogs: ledger.NewAccount(c.MaxWaiting)}
	r.expiries = wallAlarms(c.Clock, r.expired)
	r.deadlines = monotonicAlarms(c.Clock, r.overdue)
	return r
}

// Now is the time of day that clients are told.
func (r *Realm) Now() time.Time { return r.cfg.Clock.Wall() }

type unmetered struct{}

func (unmetered) Message(string, string, int, time.Duration) {}
func (unmetered) Error(string, string)                       {}
