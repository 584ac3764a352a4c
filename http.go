//go:build linux

package perch

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

// maxWeb is how many plain HTTP requests may be under way at a time.
const maxWeb = 1024

// maxNote is the input that can go along with a socket: one read of the loop,
// and what was kept before it.
const maxNote = 2 * readBudget

// web answers what is no upgrade with net/http. A loop passes it the socket,
// with the bytes already read, through a pair of unix sockets: that works out of
// a private descriptor table as well. Every response closes its connection.
type web struct {
	log    *slog.Logger
	server http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	inside atomic.Int64
	taking sync.WaitGroup
}

func newWeb(cfg *Config) *web {
	w := &web{log: cfg.Logger, conns: make(chan net.Conn), done: make(chan struct{})}
	w.server = http.Server{
		Handler:           cfg.HTTP,
		ReadHeaderTimeout: cfg.HandshakeTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	w.server.SetKeepAlivesEnabled(false)
	go w.server.Serve(w)
	return w
}

// pair opens the pair of one loop and receives sockets from it until the
// loop's end is closed.
func (w *web) pair() (from int, err error) {
	from, to, err := sock.Pair()
	if err != nil {
		return -1, err
	}
	f := os.NewFile(uintptr(to), "perch-http")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		sock.Close(from)
		return -1, err
	}
	w.taking.Add(1)
	go func() {
		defer w.taking.Done()
		defer c.Close()
		w.receive(c.(*net.UnixConn))
	}()
	return from, nil
}

func (w *web) receive(c *net.UnixConn) {
	note, oob := make([]byte, maxNote), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := c.ReadMsgUnix(note, oob)
		if err != nil || n == 0 && oobn == 0 {
			return
		}
		fd, ok := sock.Rights(oob[:oobn])
		if !ok {
			w.inside.Add(-1) // no descriptor was free for it: it is closed
			continue
		}
		f := os.NewFile(uintptr(fd), "perch-http")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			w.inside.Add(-1)
			w.log.LogAttrs(context.Background(), slog.LevelWarn, "HTTP connection lost", slog.String("error", err.Error()))
			continue
		}
		select {
		case w.conns <- &webConn{Conn: conn, web: w, head: append([]byte(nil), note[:n]...)}:
		case <-w.done:
			w.inside.Add(-1)
			conn.Close()
		}
	}
}

// Accept, Close and Addr make w the listener of its server.
func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (w *web) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}

// Addr is not known to w.
func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// finish waits for the requests under way until ctx ends, then breaks them off.
// The loops' ends of the pairs are closed: no more requests come.
func (w *web) finish(ctx context.Context) {
	w.taking.Wait()
	w.server.Shutdown(ctx)
	w.server.Close()
	w.Close()
}

// webConn is a connection whose first bytes the loop has read already.
type webConn struct {
	net.Conn
	web  *web
	head []byte
	gone atomic.Bool
}

// Read gives the bytes read before first.
func (c *webConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Close makes room for another.
func (c *webConn) Close() error {
	if c.gone.CompareAndSwap(false, true) {
		c.web.inside.Add(-1)
	}
	return c.Conn.Close()
}

// handOff passes the connection to net/http, or lists it until the pair has
// room. Its slot is free afterwards; the socket lives on in the other descriptor.
func (l *loop) handOff(i uint32, s *slot, b []byte) {
	w := l.srv.web
	if l.stopping || w.inside.Add(1) > maxWeb {
		if !l.stopping {
			w.inside.Add(-1)
		}
		l.refuse(i, s, http.StatusServiceUnavailable, "too many requests under way", retryAfter)
		return
	}
	if len(l.passing) == 0 {
		switch e := l.pass(i, s, b); e {
		case 0:
			return
		case unix.EAGAIN, unix.ETOOMANYREFS:
		default:
			w.inside.Add(-1)
			l.fail(i, s, e)
			return
		}
	}
	l.keep(s, b)
	l.setState(s, stateDeciding)
	l.interest(i, s)
	if l.passing = append(l.passing, l.conn(i, s)); len(l.passing) == 1 {
		if err := l.poller.Add(l.pair, poller.Token{Slot: pairSlot}, poller.Out); err != nil {
			l.passing = l.passing[:0]
			w.inside.Add(-1)
			l.fail(i, s, err)
		}
	}
}

// pass does it, if the pair has room.
func (l *loop) pass(i uint32, s *slot, b []byte) unix.Errno {
	if e := sock.Pass(l.pair, int(s.fd), b); e != 0 {
		return e
	}
	// Out of our epoll: the registration belongs to the file, not to the
	// descriptor that is about to be closed.
	l.poller.Del(int(s.fd))
	l.stats.HandedOff++
	l.kill(i, s)
	return 0
}

// passWaiting goes on with those that the pair had no room for.
func (l *loop) passWaiting() {
	done := 0
	for _, c := range l.passing {
		s := l.slab.at(c.slot)
		if s.gen.Load() != c.gen || s.state != stateDeciding { // it has ended meanwhile
			l.srv.web.inside.Add(-1)
		} else if e := l.pass(c.slot, s, l.slab.coldOf(s).in.B); e == unix.EAGAIN || e == unix.ETOOMANYREFS {
			break
		} else if e != 0 {
			l.srv.web.inside.Add(-1)
			l.fail(c.slot, s, e)
		}
		done++
	}
	if l.passing = slices.Delete(l.passing, 0, done); len(l.passing) == 0 {
		l.poller.Del(l.pair)
	}
}
