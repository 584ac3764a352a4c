package session

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
	"unicode/utf8"
)

// Limits of names and of what the server keeps, in bytes.
const (
	MaxConnectionID = 64
	MaxUserID       = 256
	MaxState        = 16 << 10
)

// timeLayout is RFC 3339 in UTC with milliseconds, always three digits of them.
const timeLayout = "2006-01-02T15:04:05.000Z"

// A Session is what a store knew of a session at one moment. It is a value and
// never changes. Times are in UTC, in milliseconds.
type Session struct {
	ID           Key
	ConnectionID string // holds it, or held it last; "" if none ever did
	UserID       string // "" if the user has no id
	CreatedAt    time.Time
	LastAccessed time.Time
	Data         Data
	Active       bool // a connection holds it

	// What follows is the server's and not in the JSON.

	Authenticated bool   // somebody verified UserID: it may be resumed for Config.TTL
	State         string // of Keep
}

// New says what [Store.Create] is to make. Every field may be left out.
type New struct {
	ConnectionID  string // attaches it; ≤ MaxConnectionID bytes
	UserID        string // ≤ MaxUserID bytes
	Authenticated bool
	Data          []byte // a JSON object, applied to an empty one as Update would; nil for none
	State         []byte // as by Keep
	// Address is the client's. All sessions of an address that are not of an authenticated user share what the
	// store has with the others; those without an address are bounded together. See Config.MaxBytes.
	Address netip.Addr
}

// A Claim is what a connection shows to take a session over.
type Claim struct {
	Key          Key    // the session's ID, or a token
	ConnectionID string // who takes it; needed
	UserID       string // who it must belong to; "" accepts any: the key alone decides
	Anonymous    bool   // who claims has proved nothing: not for a session of an authenticated user
}

// fields are the JSON of a Session. The names are the protocol's.
type fields struct {
	SessionID    Key    `json:"session_id"`
	ConnectionID string `json:"connection_id"`
	UserID       string `json:"user_id"`
	CreatedAt    string `json:"created_at"`
	LastAccessed string `json:"last_accessed"`
	Data         Data   `json:"data"`
	Active       bool   `json:"active"`
}

// MarshalJSON writes what the session's owner may see, the ID in full.
func (s Session) MarshalJSON() ([]byte, error) {
	return json.Marshal(fields{
		SessionID:    s.ID,
		ConnectionID: s.ConnectionID,
		UserID:       s.UserID,
		CreatedAt:    s.CreatedAt.UTC().Format(timeLayout),
		LastAccessed: s.LastAccessed.UTC().Format(timeLayout),
		Data:         s.Data,
		Active:       s.Active,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote; Authenticated and State are left
// as they are. Unknown fields are ignored.
func (s *Session) UnmarshalJSON(b []byte) error {
	var f fields
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("session: decode: %w", err)
	}
	created, err := time.Parse(time.RFC3339, f.CreatedAt)
	if err != nil {
		return fmt.Errorf("session: decode created_at: %w", err)
	}
	accessed, err := time.Parse(time.RFC3339, f.LastAccessed)
	if err != nil {
		return fmt.Errorf("session: decode last_accessed: %w", err)
	}
	s.ID, s.ConnectionID, s.UserID = f.SessionID, f.ConnectionID, f.UserID
	s.CreatedAt, s.LastAccessed = created.UTC(), accessed.UTC()
	s.Data, s.Active = f.Data, f.Active
	return nil
}

// LogValue implements slog.LogValuer: who, but neither the key nor the data.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Any("session", s.ID),
		slog.String("connection_id", s.ConnectionID),
		slog.String("user_id", s.UserID),
		slog.Bool("active", s.Active),
	)
}

// Check returns ErrNameInvalid or ErrDataTooLarge if n must be refused, whatever
// its data. It is for stores, as are Claim.Check and CheckState.
func (n *New) Check() error {
	if !validName(n.ConnectionID, MaxConnectionID) || !validName(n.UserID, MaxUserID) {
		return ErrNameInvalid
	}
	return CheckState(n.State)
}

// Check returns ErrNameInvalid if the claim must be refused with any key. The
// UserID is only compared, so any will do.
func (c *Claim) Check() error {
	if c.ConnectionID == "" || !validName(c.ConnectionID, MaxConnectionID) {
		return ErrNameInvalid
	}
	return nil
}

// CheckState returns ErrDataTooLarge if state is over MaxState.
func CheckState(state []byte) error {
	if len(state) > MaxState {
		return ErrDataTooLarge
	}
	return nil
}

// validName demands UTF-8 because names go into JSON texts.
func validName(name string, limit int) bool {
	return len(name) <= limit && utf8.ValidString(name)
}
