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

// pace has the collector run more often while much is held, or as before. was is its GOGC now; 0: it is not to be
// changed. To set it stops the world for a moment, so small changes are left out.
func pace(was, want int) int {
	if was == 0 || want < 100 && max(was-want, want-was) < 10 {
		return was
	}
	if want != was {
		debug.SetGCPercent(want)
	}
	return want
}

// lookEach is how often perchd looks at its memory: clients may make it hold hundreds of megabytes in a second.
const lookEach = 250 * time.Millisecond

// sweep drops sessions whose time is over, and keeps memory near what is held, until stop is called.
func (d *daemon) sweep() (stop func()) {
	reclaimer := reclaim.NewReclaimer(d.clock, d.held, collect)
	paced := 100
	if _, set := os.LookupEnv("GOGC"); set {
		paced = 0 // it is not ours to choose
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(lookEach)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				d.memory.Sweep()
				reclaimer.Look()
				paced = pace(paced, reclaim.Percent(d.held()))
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
