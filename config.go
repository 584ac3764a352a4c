//go:build linux

package perch

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/room"
)

// Config is how a Server is set up. The zero value serves. A zero field is the
// default in its comment; −1 is no limit, or never. New copies all of it, with its
// lists and TLS; Start duplicates Listener.
type Config struct {
	// Addr is host:port to listen on, 127.0.0.1:8000 by default; unix:/path, or unix:@name in the abstract namespace;
	// or "-": no listener, for clients and for connections taken over from net/http. Listener is used instead if it is
	// set: a listening TCP or unix stream socket that is open already, an *os.File from systemd, *net.TCPListener or
	// *net.UnixListener. It is duplicated. With it, and on a unix socket, all loops share one listener, and PrivateFDs
	// cannot be used.
	Addr       string
	Listener   syscall.Conn
	SocketMode fs.FileMode // of a unix socket's file, 0o660 for instance; 0: as the umask leaves it

	Loops      int  // event loops; GOMAXPROCS. At most 1024
	Workers    int  // goroutines for blocking handlers; 4 × GOMAXPROCS. At most 65,536. See BlockingHandler
	PrivateFDs bool // a descriptor table per loop; set by itself when MaxConnections needs it

	// KeepGOMAXPROCS leaves GOMAXPROCS as it is (see Server.Start), for a program that may not use more CPUs than that.
	// Loops then take Ps from all other goroutines, and give theirs up at every sleep, so each wake-up costs more: a
	// message at a light load costs about three times the CPU time.
	KeepGOMAXPROCS bool

	// MaxConnections bounds all connections, those of plain HTTP too. 0 and −1 are the number that the descriptor limit
	// allows. A larger number needs PrivateFDs, and is reduced to what 64 loops can have if Loops is not set.
	MaxConnections          int
	MaxConnectionsPerIP     int // 100 (IPv6: per /64); loopback is never limited
	NewConnectionsPerSecond int // 1000
	NewConnectionsPerIP     int // the same for one address; 100 (IPv6: per /64); loopback is never limited
	// plain HTTP connections at a time; 1024. Idle ones make room for others, and so do those of addresses with most
	MaxHTTP int

	MaxMessageSize int // bytes of one message received; 64 KiB
	MaxFragments   int // frames of one message received; 1024
	MaxOutput      int // bytes queued for one connection; 1 MiB. An empty queue takes any one message
	// bytes queued in all, and on their way to loops; 256 MiB. A message that does not fit is refused: ErrOverloaded
	MaxOutputTotal int64
	// bytes kept in all of input that cannot be used yet: heads, and messages that are not whole or wait for a worker;
	// 128 MiB, or four times MaxMessageSize. Over it the connections of the addresses that keep the most are ended:
	// ErrInputFull
	MaxInputTotal int64
	Rate          Rate // of messages received, per connection

	// SendBuffer is the number of unsent bytes that the kernel may hold for one TCP peer (TCP_NOTSENT_LOWAT); the rest
	// wait here and count as MaxOutput; 128 KiB. ReceiveBuffer is the number of received bytes that it may hold for one
	// peer (SO_RCVBUF, which bounds the window too; the kernel takes twice as much memory); 128 KiB. −1: the kernel
	// decides, up to 4 MiB and 32 MiB as a rule. Plain HTTP has at most 32 KiB and 64 KiB.
	SendBuffer, ReceiveBuffer int

	MaxHead    int // bytes of the head of a request, or of the response to Dial; 8 KiB, 60 KiB at most
	MaxHeaders int // lines in it; 64, 1000 at most. A takeover has the limits of its own net/http server instead

	// HandshakeTimeout is from accept to open: PROXY header, TLS, head and a blocking OnUpgrade together. For Dial it
	// is from the call to open, with the lookup of addresses. 5 s.
	HandshakeTimeout time.Duration
	// MessageTimeout is for a message from its first byte, and starts again after every 16 KiB of it: a long message
	// may take longer, but not for ever. 30 s.
	MessageTimeout time.Duration
	CloseTimeout   time.Duration // without any byte taken by a closing peer, and for its answer then; 5 s
	WriteTimeout   time.Duration // without any byte taken by the peer; of an HTTP body, or sent; 30 s
	IdleTimeout    time.Duration // of a plain HTTP connection between requests; 75 s

	// PingInterval is the silence after which we ping, PingTimeout the whole silence after which we close with 3001; 30
	// s and 60 s. If only one is set, the timeout is twice the interval; only an interval of −1: no heartbeat; only a
	// timeout of −1: a ping every 30 s. A peer is silent while nothing comes from it and it takes none of the bytes on
	// their way to it: a peer that reads one large message slowly is alive. We notice that it takes bytes from
	// acknowledgements, and in part from the free space that its kernel announces. If its kernel has taken much at
	// once, and the program needs longer than PingTimeout to read that, we may not notice that it reads.
	PingInterval time.Duration
	PingTimeout  time.Duration

	Compression Compression // permessage-deflate (RFC 7692); see there
	Rooms       room.Config // of Server.Rooms

	// TLS serves wss:// and https:// instead of ws:// and http://; nil: no TLS. It is cloned. NextProtos keeps all
	// entries except HTTP/2 and 3, autocert's acme-tls/1 for instance, and gets http/1.1. Versions below 1.2 are
	// refused. The suites of TLS 1.2 are those of CipherSuites, by default those with AEAD and forward secrecy. All
	// this is true of the result of GetConfigForClient as well, which must not be changed afterwards. Its callbacks run
	// on the goroutine of a handshake and may block. To change the certificate while connections are open, set
	// GetCertificate. HandshakeTimeout is for both handshakes.
	TLS *tls.Config

	// MaxTLSHandshakes bounds the handshakes under way, which take about 30 kB each; 256 × GOMAXPROCS, and an eighth
	// more for addresses that have none under way. Others wait, and addresses take turns. While some wait, a client
	// that stalls in its handshake for half a second is cut off.
	MaxTLSHandshakes int

	// allowed Origin values, as handshake.CheckOrigin takes them; nil: the same host; "*": all
	Origins        []string
	TrustedProxies []netip.Prefix // proxies whose X-Forwarded-For is believed; see UnixPeers
	ProxyProtocol  []netip.Prefix // peers that must send a PROXY header, version 1 or 2; see UnixPeers
	HTTP           http.Handler   // requests that are for no WebSocket route; nil: 404

	// Reserved are paths, as "/health", whose GET and HEAD requests HTTP answers at any load: they take no place of
	// other connections and requests, and the others take none of theirs. A connection over a limit is read too, as one
	// of few at a time, because its request may be for such a path. The answer is gathered, up to 8 MiB, and ends the
	// connection; a handler may take as long as HandshakeTimeout.
	Reserved []string

	// Logger gets messages for those who run the server. Some events can be caused often by a peer or a handler
	// (refused upgrades, panics, slow ticks): of those it gets the first few lines, then at most one in ten seconds,
	// and one with the number of the others. No line has the query of a request, or a header except Host and Origin.
	// Its handler runs on a goroutine of its own; a handler that blocks loses lines, see Stats.LogsLost.
	Logger *slog.Logger // nil: errors alone, to slog.Default()
}

// Rate bounds the input of one connection. Over it the connection is closed with 1008. Zero fields are the defaults, −1
// is no limit.
type Rate struct {
	Messages int // per second; 100
	Burst    int // messages at once; 200
	Bytes    int // per second, and at once; 1 MiB, or MaxMessageSize if that is more. At least MaxMessageSize
}

// leastHead and leastHeaders are enough for a handshake without anything more.
const (
	leastHead    = 256
	leastHeaders = 8
)

// lingerTimeout and lingerBytes bound the time and the input that a connection
// gets between our last byte and its end, so that the peer can read that byte.
const (
	lingerTimeout = 2 * time.Second
	lingerBytes   = 1 << 20
)

// heads are the limits for heads of requests and responses.
func (c *Config) heads() handshake.Limits {
	return handshake.Limits{Head: c.MaxHead, Headers: c.MaxHeaders}
}

// orNone is r with "no limit" in its zero fields.
func (r Rate) orNone() Rate {
	if r.Messages == 0 {
		r.Messages = -1
	}
	if r.Bytes == 0 {
		r.Bytes = -1
	}
	return r
}

// fits refuses a rate at which the longest message could not come at once. A message that fits into one read can always
// come.
func (r Rate) fits(message int) error {
	if message != math.MaxInt && message > max(r.Bytes, readBudget) {
		return fmt.Errorf("Rate.Bytes: %d a second, and at once, is less than MaxMessageSize, %d: no such message could come", r.Bytes, message)
	}
	return nil
}

// defaults fills r's zero fields from def and resolves −1.
func (r *Rate) defaults(def Rate) error {
	for _, f := range []struct {
		key string
		p   *int
		def int
	}{{"Messages", &r.Messages, def.Messages}, {"Burst", &r.Burst, def.Burst}, {"Bytes", &r.Bytes, def.Bytes}} {
		switch {
		case *f.p == 0:
			*f.p = f.def
		case *f.p == -1:
			*f.p = math.MaxInt
		case *f.p < -1:
			return fmt.Errorf("Rate.%s: %d is neither a limit nor -1 (none)", f.key, *f.p)
		}
	}
	return nil
}
