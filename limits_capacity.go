//go:build linux

package perch

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/procs"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
)

// ownLoops is the largest number of loops that we choose ourselves because MaxConnections needs as many descriptor
// tables. Each loop has a thread, a P and some 200 kB.
const ownLoops = 64

// mostConnections bounds MaxConnections where the descriptor limit does not: in containers that is often 1<<30. A
// loop's table of slots has one pointer for a thousand connections.
const mostConnections = 1 << 24

// sharedReserve is how many descriptors of the process are not for connections: those of the loops, over for
// connections over a limit, and some for files, HTTP requests and the like.
func sharedReserve(loops, over, limit int) int { return min(64+4*loops+over, limit/4) }

// plan decides how many loops there are, whether each has a descriptor table of its own, and how many connections that
// allows.
func (srv *Server) plan() {
	c := &srv.cfg
	limit := sock.DescriptorLimit()
	loops := c.Loops
	if loops == 0 {
		loops = min(procs.Available(), maxLoops)
	}
	over := srv.planOverflow(loops, limit)
	shared := limit - sharedReserve(loops, over, limit)
	perLoop := limit - sock.PrivateReserve
	private := (c.PrivateFDs || c.MaxConnections > shared) && perLoop > 0
	if private && srv.shared != nil {
		private = false
		srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "no private descriptor tables: all loops share one listener", slog.String("address", srv.listens().String()))
	}
	if private {
		if err := tryPrivateTable(); err != nil {
			private = false
			srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "no private descriptor tables; they need CAP_SYS_ADMIN in a container", slog.String("error", err.Error()))
		}
	}
	if private && c.Loops == 0 && c.MaxConnections > 0 {
		// The kernel does not spread connections evenly: a tenth more.
		needed := min(c.MaxConnections, ownLoops*perLoop)/10*11/perLoop + 1
		loops = max(loops, min(needed, ownLoops))
	}
	most := shared
	if private {
		most = loops * perLoop
	}
	most = min(most, mostConnections)
	switch {
	case c.MaxConnections <= 0: // as many as possible
		srv.maxConnections = most
		if private {
			srv.maxConnections = most * 10 / 11
		}
	case c.MaxConnections > most:
		srv.maxConnections = most
		srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "fewer connections than configured: the descriptor limit (ulimit -n) is in the way; more loops would allow more",
			slog.Int("configured", c.MaxConnections), slog.Int("limit", most), slog.Int("ulimit", limit))
	default:
		srv.maxConnections = c.MaxConnections
	}
	c.Loops, c.PrivateFDs = loops, private
	if private {
		srv.overflow = min(srv.overflow, overflowFew)
	}
	srv.log.LogAttrs(srv.ctx, slog.LevelInfo, "plan", slog.Int("loops", loops), slog.Int("max_connections", srv.maxConnections), slog.Bool("private_fds", private))
}

// planOverflow decides how many connections over a limit each loop holds, and returns how many descriptors they need in
// all. Many are only of use where they are read, and none come where the server does not listen.
func (srv *Server) planOverflow(loops, limit int) (descriptors int) {
	if len(srv.cfg.Reserved) == 0 {
		limit = 0
	}
	srv.overflow = overflowOf(loops, limit)
	if srv.shared == nil && !srv.addr.IsValid() {
		return 0
	}
	return (srv.overflow + sparesKept) * loops
}

// tryPrivateTable finds out whether the system allows a private table, on a thread that ends.
func tryPrivateTable() error {
	result := make(chan error)
	onThread(new(spawn.Spawner), func() { result <- unix.Unshare(unix.CLONE_FILES) })
	return <-result
}
