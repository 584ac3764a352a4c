// Command perchbench loads WebSocket servers and verifies their answers. It also runs the bare engine as a server to
// load.
//
//	perchbench echo --url ws://127.0.0.1:8000/ws?raw=1 [--conns N] [--size B] [--depth D | --rate R] …
//	perchbench idle --url … --conns 100000 [--pid SERVER]
//	perchbench storm --url … [--conns N]
//	perchbench fanout --url ws://127.0.0.1:8000/fan [--conns N] [--pubs N] [--hello TEXT] [--template TEXT] …
//	perchbench chat --url ws://127.0.0.1:8000/ws/chat [--conns N] [--rooms N] [--rate R] [--stay N] …
//	perchbench suite [--time 17m] [--base COMMIT] …
//	perchbench report --runs bench/report
//	perchbench abuse [--only A4,B3] [--short] [--server bin/perchd] …
//	perchbench serve --listen ADDR [--loops N] [--max-conns N] [--private-fds]
//
// `perchbench MODE --help` lists the options of a load; package bench explains the figures. The exit status of a load
// is 0 if all went well, 1 if an error was seen, 2 if the command line is wrong.
//
// suite measures this engine, the yardstick and the servers of bench/peers in turn, or two commits of
// this repository, and writes the results and a report; report makes the report anew. abuse attacks a
// perchd, in one way after the other, and says what somebody else notices of it: package bench/abuse.
//
// serve is for load tests and for the conformance suite: no limits on rates and fragments, messages
// up to 16 MiB + 1 KiB. WS /ws sends every message back as it is. WS /fan is one room: any text
// message goes to all connections, its sender included.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/perchws/perch"
)

func main() {
	if len(os.Args) > 1 && modes[os.Args[1]] != nil {
		os.Exit(runLoad(os.Args[1], os.Args[2:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		os.Exit(commands[os.Args[1]](os.Args[2:], os.Stdout, os.Stderr))
	}
	o, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "perchbench: %v\nperchbench serve --help, echo --help and so on list the options.\n", err)
		os.Exit(2)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := serve(o, os.Stderr, signals); err != nil {
		fmt.Fprintln(os.Stderr, "perchbench:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	listen       string
	loops        int
	maxConns     int
	privateFDs   bool
	cpuProfile   string        // file; "" for none
	pprof        string        // address of a net/http/pprof server; "" for none
	gcEvery      time.Duration // 0: as often as the runtime wants
	pingInterval time.Duration // of silence; 0: never
	compression  perch.Compression
	tls          serverTLS
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("perchbench serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8000", "`address` to serve on")
	fs.IntVar(&o.loops, "loops", 0, "event `loops`, 0: one per CPU")
	fs.IntVar(&o.maxConns, "max-conns", 0, "`connections` in all, 0: what the descriptor limit allows")
	fs.BoolVar(&o.privateFDs, "private-fds", false, "a descriptor table per loop")
	fs.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the whole run to this `file`")
	fs.StringVar(&o.pprof, "pprof", "", "serve net/http/pprof on this `address`")
	fs.DurationVar(&o.pingInterval, "ping-interval", 30*time.Second, "ping after this `silence`, close after twice as much; 0: never")
	o.tls.flags(fs)
	compressionFlags(fs, &o.compression)
	fs.BoolFunc("deflate", "permessage-deflate where it is offered (default true)", func(s string) error {
		on, err := strconv.ParseBool(s)
		o.compression.Disabled = !on
		return err
	})
	fs.DurationVar(&o.gcEvery, "gc-every", 0, "collect garbage every `period`, to see its pauses")
	if len(args) == 0 {
		return o, errors.New("want: perchbench serve [options]")
	}
	switch args[0] {
	case "serve":
		args = args[1:]
	case "-h", "-help", "--help":
	default:
		return o, fmt.Errorf("unknown command %q", args[0])
	}
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(out)
		fs.Usage()
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case err == nil && o.loops < 0:
		err = fmt.Errorf("invalid value %d for --loops", o.loops)
	case err == nil && o.maxConns < 0:
		err = fmt.Errorf("invalid value %d for --max-conns", o.maxConns)
	case err == nil && o.tls.check() != nil:
		err = o.tls.check()
	case err == nil && o.gcEvery < 0:
		err = fmt.Errorf("invalid value %v for --gc-every", o.gcEvery)
	case err == nil && o.pingInterval < 0:
		err = fmt.Errorf("invalid value %v for --ping-interval", o.pingInterval)
	}
	return o, err
}
