package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/perchws/perch"
)

// Target is what all modes have in common: the server, the number of
// connections and the times. Durations are as they stand, there are no
// defaults: cmd/perchbench has those.
type Target struct {
	URL          string      // ws:// or wss://host[:port]/path
	TLS          *tls.Config // of a wss:// URL; nil: the system's roots
	Header       http.Header
	Subprotocols []string
	Compression  *perch.Compression // permessage-deflate to offer; nil: none
	Words        bool               // what messages say is text that compresses well; otherwise it hardly does

	Conns          int           // connections; storm: at a time; fan-out: subscribers
	Loops          int           // event loops of the clients; 0: as many as the descriptors need, at least one
	Sources        int           // source addresses 127.0.0.2 …; 0: as many as the ports need
	ConnectRate    float64       // new connections per second; 0: as fast as InFlight allows
	InFlight       int           // handshakes under way at a time
	ConnectTimeout time.Duration // for one connection

	Warmup time.Duration // load before the measured interval
	Time   time.Duration // the measured interval
	Drain  time.Duration // for what is under way at its end to arrive

	PID      int       // of the server, on this machine: its CPU time and memory are taken; 0: not
	Log      io.Writer // what went wrong, the first few of each kind
	Progress io.Writer // a terminal to show the progress on; nil: none
}

// check returns what is wrong with t, and the address of the server if the URL
// has one.
func (t *Target) check() (netip.Addr, error) {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "":
		return netip.Addr{}, fmt.Errorf("%q is not a ws:// or wss:// URL", t.URL)
	case t.Conns < 1:
		return netip.Addr{}, fmt.Errorf("%d connections: want 1 at least", t.Conns)
	case t.InFlight < 1:
		return netip.Addr{}, fmt.Errorf("%d handshakes at a time: want 1 at least", t.InFlight)
	case t.Loops < 0, t.Sources < 0, t.ConnectRate < 0:
		return netip.Addr{}, errors.New("loops, source addresses and rate of connects cannot be negative")
	case t.Time <= 0 || t.ConnectTimeout <= 0 || t.Warmup < 0 || t.Drain < 0:
		return netip.Addr{}, errors.New("the measured time and the time to connect must be positive")
	}
	if u.Hostname() == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	addr, _ := netip.ParseAddr(u.Hostname()) // a name is resolved when it is dialled
	return addr.Unmap(), nil
}
