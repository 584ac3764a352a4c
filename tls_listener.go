//go:build linux

package perch

import (
	"crypto/tls"
	"fmt"
	"net"
)

// TLSListener serves TLS on ln for a net/http server of somebody else's, so that [Route.Upgrade] can move a connection
// to a loop with its TLS: from any other TLS listener it cannot, see [ErrTLS]. Otherwise it is like tls.NewListener:
// Accept returns a *tls.Conn, and net/http runs its handshake on the connection's goroutine. It is for
// http.Server.Serve, not for ServeTLS, which would encrypt twice.
//
// config is cloned, and served as Config.TLS is: without HTTP/2, over which WebSocket is not spoken, and without
// versions below 1.2. ln must give the connections of package net as they are, TCP or unix. Error: of config.
func TLSListener(ln net.Listener, config *tls.Config) (net.Listener, error) {
	config, err := serverTLS(config)
	if err != nil {
		return nil, fmt.Errorf("perch: %w", err)
	}
	return &tlsListener{ln, config}, nil
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := new(tlsConn)
	t.ToSocket(c, nil)
	t.conn = tls.Server(t, l.config)
	return t.conn, nil
}
