package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/perchws/perch/internal/server/reclaim"
)

// limitMemory tells the collector how much memory there may be. A GOMEMLIMIT of the environment stays, unless the
// configuration has another one.
func (d *daemon) limitMemory() {
	most := d.cfg.MemoryLimit
	switch {
	case most < 0:
		most = math.MaxInt64
	case most == 0:
		if _, set := os.LookupEnv("GOMEMLIMIT"); set {
			return
		}
		if most = reclaim.Limit("/"); most == 0 {
			return
		}
	}
	debug.SetMemoryLimit(most)
	if most < math.MaxInt64 {
		d.log.Info("memory limit of the collector", "bytes", most)
	}
}

// held is how many bytes clients make perchd hold.
func (d *daemon) held() int64 {
	return d.engine.Held() + d.engine.Rooms().Shares().Bytes + d.memory.Stats().Bytes + d.chat.Sends().Held
}

// collect frees all that is not used. A pool lets go of what it has in the second collection.
func collect() {
	runtime.GC()
	debug.FreeOSMemory()
}

// sweep drops sessions whose time is over, and gives back memory after a peak, once a second, until stop is called.
func (d *daemon) sweep() (stop func()) {
	reclaimer := reclaim.NewReclaimer(d.clock, d.held, collect)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				d.memory.Sweep()
				reclaimer.Look()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}
