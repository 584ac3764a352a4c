// Command peer runs one of the WebSocket libraries that Perch is compared with:
//
//	peer NAME --listen 127.0.0.1:8000 [--deflate on] [--tls-cert FILE --tls-key FILE]
//
// Each serves the endpoints of `perchbench serve`: WS /ws sends every message
// back as it is, WS /fan is one room whose members get every text message, its
// sender included. README.md says which options were set in each, and why.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	maxMessage = 16<<20 + 1<<10 // as perchbench serve
	// stallTime is how long one write to a member of /fan may take. Writing is
	// done by whoever publishes: a member that does not read holds up the room
	// for this long, once.
	stallTime = 5 * time.Second
	// handshakeTime is how long a client may take to send its request.
	handshakeTime = 5 * time.Second
)

// peers start the servers by name.
var peers = map[string]peer{
	"gorilla":  {serveGorilla, true},
	"coder":    {serveCoder, true},
	"gws":      {serveGWS, true},
	"gobwas":   {serveGobwas, false},
	"fasthttp": {serveFastHTTP, true},
	"xnet":     {serveXNet, false},
	"nbio":     {serveNbio, true},
	"gnet":     {serveGnet, false},
}

type peer struct {
	serve   func(ln net.Listener, o options) error // until it fails
	deflate bool                                   // has permessage-deflate
}

// Those that do not read from a net.Conn cannot be given the TLS of crypto/tls:
// ownTLS bring theirs, noTLS have none.
var (
	ownTLS = map[string]bool{"nbio": true}
	noTLS  = map[string]bool{"gnet": true}
)

// options is what the command line asks for.
type options struct {
	listen    string
	deflate   bool
	threshold int    // bytes; shorter messages are not compressed
	cert, key string // files; empty: no TLS
}

func main() {
	name, o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	if err := run(name, o); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", name+":", err)
		os.Exit(1)
	}
}

func parse(args []string) (name string, o options, err error) {
	fs := flag.NewFlagSet("peer NAME", flag.ContinueOnError)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8000", "`address` to serve on")
	fs.IntVar(&o.threshold, "threshold", 1024, "`bytes` from which messages are compressed")
	fs.StringVar(&o.cert, "tls-cert", "", "serve wss with this certificate `file`")
	fs.StringVar(&o.key, "tls-key", "", "its key `file`")
	fs.Func("deflate", "`on or off`: permessage-deflate without context takeover, fastest level", func(s string) error {
		o.deflate = s == "on"
		if s != "on" && s != "off" {
			return errors.New("want on or off")
		}
		return nil
	})
	names := strings.Join(slices.Sorted(maps.Keys(peers)), ", ")
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
			fs.Usage()
			fmt.Fprintln(os.Stderr, "NAME is one of", names)
			return "", o, flag.ErrHelp
		}
		return "", o, fmt.Errorf("want a peer: %s", names)
	}
	name = args[0]
	p, ok := peers[name]
	if !ok {
		return "", o, fmt.Errorf("no peer %q: want %s", name, names)
	}
	err = fs.Parse(args[1:])
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.deflate && !p.deflate:
		err = fmt.Errorf("%s has no permessage-deflate", name)
	case o.cert != "" && noTLS[name]:
		err = fmt.Errorf("%s is not set up for TLS here", name)
	case (o.cert == "") != (o.key == ""):
		err = errors.New("--tls-cert and --tls-key go together")
	case o.threshold < 0:
		err = fmt.Errorf("invalid value %d for --threshold", o.threshold)
	}
	return name, o, err
}

func run(name string, o options) error {
	ln, err := net.Listen("tcp", o.listen) // accepted connections have TCP_NODELAY: Go's default
	if err != nil {
		return err
	}
	if o.cert != "" && !ownTLS[name] {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	return peers[name].serve(ln, o)
}
