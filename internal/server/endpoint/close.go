package endpoint

import "github.com/perchws/perch"

// Close codes of perchd's own. From 3000 to 3499 and 4000 to 4499 a client should come back, from 3500
// and 4500 on it should stay away.
const (
	CloseTokenExpired perch.CloseCode = 3002 // come back with a new token
	CloseReplaced     perch.CloseCode = 3500
	CloseNoFirstFrame perch.CloseCode = 4408
)

// What the close frames say.
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
	// reasonUnavailable is of a client whose session cannot be had.
	reasonUnavailable = "sessions are not available, try again"
)
