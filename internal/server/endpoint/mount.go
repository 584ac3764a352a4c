package endpoint

import "github.com/perchws/perch"

// The paths of the small endpoints. Fixed ones win over the number in the last.
const (
	pathSafe        = "/ws/safe"
	pathMonitored   = "/ws/monitored"
	pathWithSession = "/ws/with-session"
	pathReliable    = "/ws/reliable"
	pathClientID    = "/ws/{client_id}"
)

// Mount puts the small endpoints on a server that has not started.
func Mount(srv *perch.Server, r *Realm) {
	srv.Handle(pathSafe, r.safe(process))
	srv.Handle(pathMonitored, r.monitored())
	srv.Handle(pathWithSession, r.withSession())
	srv.Handle(pathReliable, r.reliable())
	srv.Handle(pathClientID, r.byClientID(srv.Rooms()))
}
