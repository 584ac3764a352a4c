package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/bench"
)

// Exit statuses of a load.
const (
	statusOK     = 0
	statusFaults = 1 // errors were seen, or the run could not take place
	statusUsage  = 2
)

// mode adds the options of one kind of load to fs. The load that it returns runs with the target as parsed by then.
type mode func(fs *flag.FlagSet, t *bench.Target) load

type load func(ctx context.Context) (*bench.Result, error)

// modes are the loads by their command.
var modes = map[string]mode{
	"echo":   echo,
	"idle":   idle,
	"storm":  storm,
	"fanout": fanout,
	"chat":   chat,
}

// loadOptions are the options of a load.
type loadOptions struct {
	target    bench.Target
	json, csv bool
	run       load
}

// runLoad runs a mode and returns the exit status.
func runLoad(name string, args []string, out, errOut io.Writer) int {
	o, err := parseLoad(name, args, out)
	if errors.Is(err, flag.ErrHelp) {
		return statusOK
	}
	if err != nil {
		fmt.Fprintf(errOut, "perchbench: %v\nperchbench %s --help lists the options.\n", err, name)
		return statusUsage
	}
	o.target.Log = errOut
	if f, ok := errOut.(*os.File); ok {
		o.target.Progress = bench.Terminal(f)
	}
	// The first signal ends the interval, the second the process.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	res, err := o.run(ctx)
	if err == nil {
		switch {
		case o.json:
			err = res.WriteJSON(out)
		case o.csv:
			err = res.WriteCSV(out)
		default:
			err = res.WriteTable(out)
		}
	}
	if err != nil {
		fmt.Fprintln(errOut, "perchbench:", err)
		return statusFaults
	}
	if !res.OK {
		return statusFaults
	}
	return statusOK
}

// parseLoad reads the command line of a mode. Numbers that make no sense are
// refused by package bench.
func parseLoad(name string, args []string, out io.Writer) (*loadOptions, error) {
	o := &loadOptions{target: bench.Target{Header: make(http.Header)}}
	t := &o.target
	fs := flag.NewFlagSet("perchbench "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&t.URL, "url", "ws://127.0.0.1:8000/ws", "`address` of the endpoint")
	fs.IntVar(&t.Conns, "conns", 100, "`connections`")
	fs.IntVar(&t.Loops, "loops", 0, "event `loops` of the client, 0: one, or what the descriptors need")
	fs.IntVar(&t.Sources, "sources", 0, "source `addresses` 127.0.0.2 …, 0: what the ports need")
	fs.Float64Var(&t.ConnectRate, "connect-rate", 0, "new connections per second, 0: as fast as --in-flight allows")
	fs.IntVar(&t.InFlight, "in-flight", 128, "`handshakes` under way at a time")
	fs.DurationVar(&t.ConnectTimeout, "connect-timeout", 15*time.Second, "`time` for one connection to open")
	fs.DurationVar(&t.Warmup, "warmup", time.Second, "`time` of load before it is measured")
	fs.DurationVar(&t.Time, "time", 5*time.Second, "measured `time`")
	fs.DurationVar(&t.Drain, "drain", 3*time.Second, "`time` for the last answers to arrive")
	fs.IntVar(&t.PID, "pid", 0, "process `id` of the server, to take its CPU time and memory")
	fs.Func("header", "header `Name: value` of the requests; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want Name: value")
		}
		t.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	fs.Func("subprotocol", "subprotocol to `offer`; may be repeated", appendTo(&t.Subprotocols))
	var secure clientTLS
	secure.flags(fs)
	compression := new(perch.Compression)
	compressionFlags(fs, compression)
	fs.BoolVar(&t.Words, "words", false, "what messages say are words, which shrink to less than half; otherwise it hardly shrinks")
	fs.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	fs.BoolVar(&o.csv, "csv", false, "print the result as CSV: a line of names, a line of values")
	o.run = modes[name](fs, t)
	fs.BoolFunc("deflate", "offer permessage-deflate", func(s string) error {
		on, err := strconv.ParseBool(s)
		if t.Compression = nil; on {
			t.Compression = compression
		}
		return err
	})
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(out)
		fs.Usage()
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case err == nil && o.json && o.csv:
		err = errors.New("--json or --csv, not both")
	case err == nil:
		t.TLS, err = secure.config()
	}
	return o, err
}

func echo(fs *flag.FlagSet, t *bench.Target) load {
	var o bench.Echo
	fs.IntVar(&o.Size, "size", 128, "`bytes` of a message, 8 at least")
	fs.IntVar(&o.Depth, "depth", 1, "`messages` in flight on each connection")
	fs.BoolVar(&o.Text, "text", false, "text messages (binary otherwise)")
	fs.Float64Var(&o.Rate, "rate", 0, "messages per second in all, sent when they are due; latency counts from then. 0: after each answer")
	return func(ctx context.Context) (*bench.Result, error) {
		o.Target = *t
		return o.Run(ctx)
	}
}

func idle(fs *flag.FlagSet, t *bench.Target) load {
	var o bench.Idle
	greeting(fs, &o.Greeting)
	return func(ctx context.Context) (*bench.Result, error) {
		o.Target = *t
		return o.Run(ctx)
	}
}

func storm(_ *flag.FlagSet, t *bench.Target) load {
	return func(ctx context.Context) (*bench.Result, error) { return bench.Storm{Target: *t}.Run(ctx) }
}

func fanout(fs *flag.FlagSet, t *bench.Target) load {
	var o bench.Fanout
	greeting(fs, &o.Greeting)
	fs.Func("pub-hello", "`text` that publishers send first; may be repeated", appendTo(&o.PubHello))
	fs.IntVar(&o.Pubs, "pubs", 1, "`publishers`, besides the --conns subscribers")
	fs.IntVar(&o.Size, "size", 128, "`bytes` of a message: its {pad} is as long as it takes")
	fs.StringVar(&o.Template, "template", "m={seq},{ts} {pad}", "`text` published")
	fs.BoolVar(&o.Exact, "exact", false, "what arrives is the published text itself, and nothing else arrives")
	fs.Float64Var(&o.Rate, "rate", 0, "publications per second in all, sent when they are due; latency counts from then. 0: when the one before has reached everyone")
	fs.DurationVar(&o.Settle, "settle", 300*time.Millisecond, "`silence` after the greetings before the load begins")
	return func(ctx context.Context) (*bench.Result, error) {
		o.Target = *t
		return o.Run(ctx)
	}
}

func chat(fs *flag.FlagSet, t *bench.Target) load {
	var o bench.Chat
	fs.IntVar(&o.Rooms, "rooms", 1, "`rooms` that the users talk in")
	fs.IntVar(&o.Size, "size", 128, "`bytes` of what a message says")
	fs.Float64Var(&o.Rate, "rate", 100, "messages per second in all, posted when they are due; latency counts from then")
	fs.BoolVar(&o.Typing, "typing", true, "say typing before each message")
	fs.IntVar(&o.Stay, "stay", 0, "`messages` that a user posts before it leaves for the next room, 0: it stays")
	fs.DurationVar(&o.Settle, "settle", 2*time.Second, "`silence` after the joins before the load begins")
	return func(ctx context.Context) (*bench.Result, error) {
		o.Target = *t
		return o.Run(ctx)
	}
}

func greeting(fs *flag.FlagSet, g *bench.Greeting) {
	fs.Func("hello", "`text` to send first, {id} is the connection's number; may be repeated", appendTo(&g.Hello))
	fs.StringVar(&g.Ack, "hello-ack", "", "part of the `answer` to wait for")
}

// compressionFlags are the options of permessage-deflate, for the loads and for serve.
func compressionFlags(fs *flag.FlagSet, c *perch.Compression) {
	fs.BoolFunc("deflate-takeover", "contexts live on from message to message, both ways", func(s string) error {
		on, err := strconv.ParseBool(s)
		c.ServerTakeover, c.ClientTakeover = on, on
		return err
	})
	fs.Func("deflate-window", "`bits` of the windows, 9 to 15, both ways", func(s string) error {
		bits, err := strconv.Atoi(s)
		c.ServerWindow, c.ClientWindow = bits, bits
		return err
	})
	fs.IntVar(&c.Threshold, "deflate-threshold", 0, "`bytes` of a message from which it is compressed, 0: 1024, with takeover 32, -1: all")
}

// appendTo is a flag that may be repeated.
func appendTo(all *[]string) func(string) error {
	return func(s string) error {
		*all = append(*all, s)
		return nil
	}
}
