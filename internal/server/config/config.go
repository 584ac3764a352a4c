// Package config is what perchd can be told: every key, with its default, its help and what it
// accepts, and how a value gets from a flag, a variable or a file into a Config.
//
//	c, err := config.Load(os.Args[1:], os.Environ())
//	if errors.Is(err, flag.ErrHelp) { config.Help(os.Stdout) }
//
// The same keys everywhere: --max-connections, PERCH_MAX_CONNECTIONS, and max-connections in the
// file that --config names. A later source wins: default, file, environment, flag. A key that is
// unknown, or a value that makes no sense, overridden or not, is an error that names the key and the source.
//
// The file is TOML, flat: an operator may write beside a value why it is what it is, and a doubled
// key is an error of the format itself. Print writes such a file.
//
// Nothing here opens a socket, reads a key or listens: Load reads the one file.
package config

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/session"
)

// Config is what perchd is to do. Make one with Load: the zero Config is not the defaults. Where
// a number or a time is a limit, −1 means none.
type Config struct {
	Engine  perch.Config // HTTP and Logger are left to the caller
	Session session.Config
	Chat    Chat
	Auth    Auth
	TLS     TLS
	Log     Log

	Endpoints   []string // of Endpoints, those that are on
	AdminListen string   // host:port or unix:/path, for those who run perchd; "": none
	MetricsKey  string   // file with the key that /metrics demands; "": none

	FirstFrame       time.Duration // until a client must have sent its first frame
	MaxErrors        int           // of one client in a minute
	ShutdownDelay    time.Duration // from the signal to the first close
	ShutdownDeadline time.Duration // from the first close to the end

	sources map[string]string // by key
}

// Chat says how the chat and its rooms behave.
type Chat struct {
	Rooms      []string // ids of those that are there besides general and random
	Create     bool     // clients may make rooms
	MaxMembers int      // of rooms made by clients
	MaxSends   int64    // bytes of what is remembered of messages with an id
	Locale     string   // of what the server says: en or zh
}

// Auth says whose tokens are good.
type Auth struct {
	Keys       []KeyFile
	KeySetFile string
	KeySetURL  string
	Audience   []string
	Issuer     string
	Cookie     string        // its name; "": none carries a token
	Leeway     time.Duration // −1: none
	DevKeyFile string        // "": where auth.DevKeyPath says
}

// KeyFile is a file with a key, and the kid that tokens name it by.
type KeyFile struct {
	ID   string // may be empty
	Path string
}

// TLS says with what certificates perchd serves, if with any.
type TLS struct {
	Certs, Keys []string // PEM files, as many of one as of the other
	ClientCA    string   // PEM file: clients need a certificate that it vouches for; "": they need none
	SelfSigned  bool     // a certificate is made at the start
}

// Enabled reports whether perchd serves https and wss.
func (t *TLS) Enabled() bool { return len(t.Certs) > 0 || t.SelfSigned }

// Log is how the log looks, and how much of it there is.
type Log struct {
	JSON  bool
	Level slog.Level
}

// Open reports whether no key is configured: clients need no token then, and perchd serves its own
// machine alone.
func (c *Config) Open() bool {
	return len(c.Auth.Keys) == 0 && c.Auth.KeySetFile == "" && c.Auth.KeySetURL == ""
}

// Source is where a key's value comes from, for messages: "default", "file PATH", "--KEY" or
// "PERCH_KEY".
func (c *Config) Source(key string) string { return c.sources[key] }

// Errorf makes an error about a key that says where its value comes from.
func (c *Config) Errorf(key, format string, args ...any) error {
	return fmt.Errorf("%s (%s): %w", key, c.sources[key], fmt.Errorf(format, args...))
}
