package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/perchws/perch/internal/server/admin"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/server/web"
	"github.com/perchws/perch/internal/sock"
)

// The mode of the admin listener's unix socket: its group may ask too.
const adminMode = 0o660

// listenAdmin opens the admin listener; nil: there is none. unlisten closes it and takes its file away.
func listenAdmin(c *config.Config) (ln net.Listener, unlisten func(), err error) {
	addr := c.AdminListen
	path, unix := strings.CutPrefix(addr, "unix:")
	switch {
	case addr == "":
		return nil, func() {}, nil
	case unix:
		fd, file, err := sock.ListenUnix(path, adminMode)
		if err != nil {
			return nil, nil, c.Errorf("admin-listen", "%w", err)
		}
		f := os.NewFile(uintptr(fd), "admin")
		defer f.Close() // ln has a duplicate
		if ln, err = net.FileListener(f); err != nil {
			file.Remove()
			return nil, nil, c.Errorf("admin-listen", "%w", err)
		}
		return ln, func() { file.Remove(); ln.Close() }, nil
	}
	if ln, err = net.Listen("tcp", addr); err != nil {
		return nil, nil, c.Errorf("admin-listen", "%w", err)
	}
	return ln, func() { ln.Close() }, nil
}

// adminHTTP handles the requests of the admin listener.
func (d *daemon) adminHTTP() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.Probes(d.notReady))
	mux.Handle("GET /metrics", d.keyed(d.metrics.Handler()))
	if d.cfg.Open() {
		return localHTTP(mux)
	}
	return mux
}

// publicMetrics is /metrics on the listener for clients: once clients need tokens it needs a key of its own.
func (d *daemon) publicMetrics() http.Handler {
	if d.metricsKey.Load() == nil && !d.cfg.Open() {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "metrics are on the admin listener, or need a key: see admin-listen and metrics-key", http.StatusForbidden)
		})
	}
	return d.keyed(d.metrics.Handler())
}

// keyed demands the key of /metrics, if there is one.
func (d *daemon) keyed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key := d.metricsKey.Load(); key != nil && !key.Shown(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "the key of metrics-key is needed, as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loadMetricsKey reads the key, if one is configured.
func (d *daemon) loadMetricsKey() error {
	if d.cfg.MetricsKey == "" {
		return nil
	}
	key, err := auth.LoadSecret(d.cfg.MetricsKey)
	if err != nil {
		return d.cfg.Errorf("metrics-key", "%w", err)
	}
	d.metricsKey.Store(key)
	return nil
}

// adminClose is how long requests on the admin listener may still take when everything else has ended.
const adminClose = time.Second

// serveAdmin answers on the admin listener, if there is one, until the function that it returns is called.
func (d *daemon) serveAdmin(ln net.Listener) (end func()) {
	if ln == nil {
		return func() {}
	}
	s := admin.Serve(ln, d.adminHTTP(), d.log)
	d.log.Info("the admin listener answers /health, /ready and /metrics", slog.String("address", ln.Addr().String()))
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), adminClose)
		defer cancel()
		s.Close(ctx)
	}
}

// openToAll lists the endpoints for which clients need no token, for the log.
func (d *daemon) openToAll() string {
	if d.cfg.Open() {
		return strings.Join(d.cfg.Endpoints, " ")
	}
	var open []string
	for _, name := range []string{"ws", "pages"} {
		if d.cfg.Serves(name) {
			open = append(open, name)
		}
	}
	return strings.Join(open, " ")
}
