// Package reclaim keeps the memory of the process near what the process holds: [Reclaimer] gives it back after a peak,
// [Limit] tells the collector how much there may be.
package reclaim

import (
	"time"

	"github.com/perchws/perch/internal/clock"
)

// headroom is how many bytes of garbage there may be beside what is held, about. The runtime allows as much garbage as
// there is live memory: that is twice what the bounds of perchd say where they are reached.
const headroom = 64 << 20

// Percent is the collector's GOGC for so many bytes that are held: 100 up to headroom, then less, 20 at least.
func Percent(held int64) int {
	return int(min(100, max(20, headroom*100/max(held, 1))))
}

// Reclaimer has the collector run, and unused memory go back to the system, when the process holds far less than it
// has held. The runtime by itself waits until as much is allocated anew, or for two minutes, and then gives memory
// back bit by bit. It belongs to one goroutine.
type Reclaimer struct {
	held    func() int64
	collect func()
	clock   clock.Clock
	peak    int64 // of held, since the last collection
	due     int64 // when there may be another one
}

const (
	worthwhile = 32 << 20        // bytes, for which a collection is made
	pause      = 3 * time.Second // between two of them
	collectMax = 20              // collecting takes at most one part in so many of a processor's time
)

// NewReclaimer makes a Reclaimer. held tells how many bytes clients make the process hold; collect frees what is not
// used, as debug.FreeOSMemory does.
func NewReclaimer(c clock.Clock, held func() int64, collect func()) *Reclaimer {
	return &Reclaimer{held: held, collect: collect, clock: c}
}

// Look collects if that is due. It is called a few times a second.
func (r *Reclaimer) Look() {
	now, held := r.clock.Now(), r.held()
	r.peak = max(r.peak, held)
	if freed := r.peak - held; freed < worthwhile || freed < r.peak/4 || now < r.due {
		return
	}
	r.collect()
	took := r.clock.Now() - now
	r.peak, r.due = held, now+max(int64(pause), collectMax*took)
}
