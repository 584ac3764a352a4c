package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	rpprof "runtime/pprof"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/room"
)

const (
	maxMessage = 16<<20 + 1<<10 // the largest case of the conformance suite, and a little more
	deadline   = 10 * time.Second
)

// config configures the engine without the limits that protect a public server.
func config(o options) perch.Config {
	ping, dead := o.pingInterval, 2*o.pingInterval
	if ping == 0 {
		ping, dead = -1, -1
	}
	return perch.Config{
		Compression:             o.compression,
		Addr:                    o.listen,
		Loops:                   o.loops,
		PrivateFDs:              o.privateFDs,
		MaxConnections:          o.maxConns,
		MaxConnectionsPerIP:     -1,
		NewConnectionsPerSecond: -1,
		MaxMessageSize:          maxMessage,
		MaxFragments:            -1,
		Rate:                    perch.Rate{Messages: -1, Burst: -1, Bytes: -1},
		PingInterval:            ping,
		PingTimeout:             dead,
	}
}

// handle mounts the endpoints on a server that has not started.
func handle(srv *perch.Server) error {
	srv.Handle("/ws", perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { _ = c.Send(op, p) },
	})
	fan, err := srv.Rooms().Create("fan", room.Options{})
	if err != nil {
		return err
	}
	srv.Handle("/fan", perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { _, _ = c.Join(fan, room.JoinOptions{}) },
		OnMessage: func(_ perch.Conn, op perch.Opcode, p []byte) {
			if op == perch.Text {
				fan.Send(room.Frames{perch.Prepare(op, p)}, room.ClassMessage)
			}
		},
	})
	return nil
}

// serve runs until a signal, then closes every client with 1001 and writes the counters to out.
func serve(o options, out io.Writer, signals <-chan os.Signal) error {
	cfg := config(o)
	var err error
	if cfg.TLS, err = o.tls.config(); err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(out, nil))
	srv := perch.New(cfg)
	if err := handle(srv); err != nil {
		return err
	}
	// Files and other listeners come after Start: with private descriptor tables the loops must not
	// inherit them (docs/architecture.md).
	if err := srv.Start(); err != nil {
		return err
	}
	at := "ws://" + srv.Addr().String()
	if cfg.TLS != nil {
		at = "wss://" + srv.Addr().String()
	}
	cfg.Logger.Info("perchbench serves", "echo", at+"/ws", "fan-out", at+"/fan")
	stopProfiles, err := startProfiles(o)
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	defer stopProfiles()
	if o.gcEvery > 0 {
		go func() {
			for range time.Tick(o.gcEvery) {
				runtime.GC()
			}
		}()
	}

	ended := make(chan error, 1)
	go func() { ended <- srv.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(ctx) }()
	select {
	case err = <-done:
	case s := <-signals:
		return fmt.Errorf("second %v: clients were not waited for", s)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // clients that do not answer are no fault of ours
	}
	return errors.Join(err, report(out, srv.Stats()))
}

// startProfiles starts the profiles that the options ask for; stop ends the CPU profile and closes its file.
func startProfiles(o options) (stop func(), err error) {
	if o.pprof != "" {
		mux := http.NewServeMux()
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		srv := &http.Server{Addr: o.pprof, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		go func() {
			if err := srv.ListenAndServe(); err != nil {
				fmt.Fprintln(os.Stderr, "perchbench: pprof:", err)
			}
		}()
	}
	if o.cpuProfile == "" {
		return func() {}, nil
	}
	f, err := os.Create(o.cpuProfile)
	if err != nil {
		return nil, err
	}
	if err := rpprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		rpprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "perchbench: profile:", err)
		}
	}, nil
}
