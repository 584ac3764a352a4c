package session

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
	"unicode/utf8"
)

// Limits of names, and of State, in bytes.
const (
	MaxConnectionID = 64
	MaxUserID       = 256
	MaxState        = 16 << 10
)

// timeLayout is RFC 3339 in UTC with milliseconds, always three digits of them.
const timeLayout = "2006-01-02T15:04:05.000Z"

// A Session is a session as the store had it at one moment. It is a value and never changes. Times are in UTC, in
// milliseconds.
type Session struct {
	ID           Key
	ConnectionID string // holds it, or held it last; "" if none ever did
	UserID       string // "" if the user has no id
	CreatedAt    time.Time
	LastAccessed time.Time
	Data         Data
	Active       bool // a connection holds it

	// The fields below are the server's and not in the JSON.

	Authenticated bool   // somebody verified UserID: it may be resumed for Config.TTL
	State         string // of Keep
}

// New describes the session that [Store.Create] makes. Every field may be left out.
type New struct {
	ConnectionID  string // attaches it; ≤ MaxConnectionID bytes
	UserID        string // ≤ MaxUserID bytes
	Authenticated bool
	Data          []byte // a JSON object, applied to an empty one as Update would; nil for none
	State         []byte // as by Keep
	// Address is the client's. All sessions of an address that are not of an authenticated user share its part of the
	// store; those without an address are bounded together. See Config.MaxBytes.
	Address netip.Addr
}

// A Claim is a connection's request to take over a session.
type Claim struct {
	Key          Key    // the session's ID, or a token
	ConnectionID string // the connection that takes it; needed
	UserID       string // the owner that it must have; "" accepts any: the key alone decides
	Anonymous    bool   // the client has proved nothing: not for a session of an authenticated user
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

// MarshalJSON writes the fields that the session's owner may see, with the whole ID.
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

// UnmarshalJSON reads the output of MarshalJSON; Authenticated and State are left as they are. Unknown fields are
// ignored.
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

// LogValue implements slog.LogValuer, without the key and the data.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Any("session", s.ID),
		slog.String("connection_id", s.ConnectionID),
		slog.String("user_id", s.UserID),
		slog.Bool("active", s.Active),
	)
}

// Check returns ErrNameInvalid or ErrDataTooLarge if n must be refused, without a look at its data. It is for stores,
// as are Claim.Check and CheckState.
func (n *New) Check() error {
	if !validName(n.ConnectionID, MaxConnectionID) || !validName(n.UserID, MaxUserID) {
		return ErrNameInvalid
	}
	return CheckState(n.State)
}

// Check returns ErrNameInvalid if the claim must be refused with any key. The UserID is only compared, so it may be
// any string.
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
