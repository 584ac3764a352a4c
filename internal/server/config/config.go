// Package config has the settings of perchd: every key, with its default, its help and its valid values. It reads
// them from flags, variables and a file into a Config.
//
//	c, err := config.Load(os.Args[1:], os.Environ())
//	if errors.Is(err, flag.ErrHelp) { config.Help(os.Stdout) }
//
// The keys are the same everywhere: --max-connections, PERCH_MAX_CONNECTIONS, and max-connections in the file that
// --config names. A later source wins: default, file, environment, flag. An unknown key is an error, and so is a
// wrong value, even if it is overridden; the error names the key and the source.
//
// The file is flat TOML: an operator may write comments beside values, and the format itself forbids a key twice.
// Print writes such a file.
//
// Judge holds the values against rules about settings that nobody can mean. The rules are the table in rules.go.
//
// This package opens no socket and reads no keys or certificates: Load reads the one file only.
package config

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/session"
)

// Config has all settings of perchd. Make one with Load: the zero Config does not have the defaults. Where a number
// or a time is a limit, −1 means none.
type Config struct {
	Engine  perch.Config // the caller sets HTTP and Logger
	Session session.Config
	Chat    Chat
	Auth    Auth
	TLS     TLS
	Log     Log

	Endpoints   []string // those of Endpoints that are on
	AdminListen string   // host:port or unix:/path, for operators; "": none
	MetricsKey  string   // file with the key that /metrics demands; "": it demands none

	FirstFrame       time.Duration // time in which a client must have sent its first frame
	MaxErrors        int           // of one client in a minute
	ShutdownDelay    time.Duration // from the signal to the first close
	ShutdownDeadline time.Duration // from the first close to the end
	MemoryLimit      int64         // bytes, for the collector; 0: the control group's limit decides, −1: none

	File string // that it was read from; "": none

	sources map[string]string // by key
}

// Chat has the settings of the chat and its rooms.
type Chat struct {
	Rooms      []string // ids of the rooms that perchd makes besides general and random
	Create     bool     // clients may make rooms
	MaxMembers int      // of rooms made by clients
	MaxSends   int64    // bytes of memory for messages with an id
	Locale     string   // of the server's texts: en or zh
}

// Auth has the settings of tokens.
type Auth struct {
	Keys       []KeyFile
	KeySetFile string
	KeySetURL  string
	Audience   []string
	Issuer     string
	Cookie     string        // the name of a cookie with a token; "": none
	Leeway     time.Duration // −1: none
	DevKeyFile string        // "": the path of auth.DevKeyPath
}

// KeyFile is a file with a key, and the kid by which tokens name it.
type KeyFile struct {
	ID   string // may be empty
	Path string
}

// TLS has the certificates with which perchd serves, if any.
type TLS struct {
	Certs, Keys []string // PEM files, a key for each certificate
	ClientCA    string   // PEM file: clients need a certificate signed by it; "": they need none
	SelfSigned  bool     // perchd makes a certificate at the start
}

// Enabled reports whether perchd serves https and wss.
func (t *TLS) Enabled() bool { return len(t.Certs) > 0 || t.SelfSigned }

// Log has the settings of the log.
type Log struct {
	JSON  bool
	Level slog.Level
}

// Open reports whether no key is configured: then clients need no token, and perchd serves only its own machine.
func (c *Config) Open() bool {
	return len(c.Auth.Keys) == 0 && c.Auth.KeySetFile == "" && c.Auth.KeySetURL == ""
}

// Source returns the source of a key's value, for messages: "default", "file PATH", "--KEY" or "PERCH_KEY".
func (c *Config) Source(key string) string { return c.sources[key] }

// Errorf makes an error about a key that names the source of its value.
func (c *Config) Errorf(key, format string, args ...any) error {
	return fmt.Errorf("%s (%s): %w", key, c.sources[key], fmt.Errorf(format, args...))
}
