//go:build linux

package perch

// IdleHTTP is how many plain HTTP connections net/http has found idle: clients
// have their responses a moment earlier.
func (srv *Server) IdleHTTP() int {
	srv.web.mu.Lock()
	defer srv.web.mu.Unlock()
	return srv.web.idle.Len()
}
