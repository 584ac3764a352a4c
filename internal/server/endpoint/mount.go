package endpoint

import "github.com/perchws/perch"

// The paths of the small endpoints. Fixed paths win over the number in the last one.
const (
	pathSafe        = "/ws/safe"
	pathMonitored   = "/ws/monitored"
	pathWithSession = "/ws/with-session"
	pathReliable    = "/ws/reliable"
	pathClientID    = "/ws/{client_id}"
)

// Mount mounts the small endpoints on a server that has not started. serves chooses them by their names "safe",
// "monitored", "with-session", "reliable" and "client-id"; nil: all.
func Mount(srv *perch.Server, r *Realm, serves func(name string) bool) {
	for _, e := range []struct {
		name, path string
		handler    func() perch.Handler
	}{
		{"safe", pathSafe, func() perch.Handler { return r.safe(process) }},
		{"monitored", pathMonitored, r.monitored},
		{"with-session", pathWithSession, r.withSession},
		{"reliable", pathReliable, r.reliable},
		{"client-id", pathClientID, func() perch.Handler { return r.byClientID(srv.Rooms()) }},
	} {
		if serves == nil || serves(e.name) {
			srv.Handle(e.path, e.handler())
		}
	}
}
