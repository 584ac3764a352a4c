package endpoint

import "github.com/perchws/perch"

// Close codes of perchd. After 3000 to 3499 and 4000 to 4499 a client should come back, after codes from 3500 and
// from 4500 on it should not.
const (
	CloseTokenExpired perch.CloseCode = 3002 // come back with a new token
	CloseReplaced     perch.CloseCode = 3500
	CloseNoFirstFrame perch.CloseCode = 4408
)

// The reasons in close frames.
const (
	reasonRequired   = "Authentication required"
	reasonInvalid    = "Invalid token"
	reasonLoading    = "keys are being loaded, try again"
	reasonExpired    = "token expired"
	reasonFirstFrame = "no first frame in time"
	reasonReplaced   = "replaced by a resume elsewhere"
	reasonErrors     = "too many errors"
	reasonInternal   = "Internal server error"
	reasonFull       = "no room for another session, try again"
	// reasonUnavailable is for a client that gets no session.
	reasonUnavailable = "sessions are not available, try again"
)
