package abuse

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// stalledLog is A1: the reader of the log stalls, and then goes away, while strangers give reasons to log.
func stalledLog() Scenario {
	return Scenario{
		Name: "A1", What: "bad tokens, while nobody reads the log, and then its reader is gone",
		StallLog: true,
		Time:     20 * time.Second, Short: 4 * time.Second,
		Holds: 2 * mib, Keeps: 2 * mib, // the queue of the log
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, 32, func(ctx context.Context, i int) error {
				for ctx.Err() == nil {
					s, err := a.open(a.from(i, 2), "/ws/chat", fmt.Sprintf("nonsense-%d", i))
					if err != nil {
						return err
					}
					stop := closeWith(ctx, s)
					err = s.drain()
					stop()
					a.failed(err)
				}
				return nil
			})
		},
	}
}

// stallable is the reader of a log.
type stallable struct {
	w       *os.File // the server's end
	r       *os.File
	stalled atomic.Bool
	end     func() // the reader goes away
}

func newLog() (*stallable, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	l := &stallable{r: r, w: w}
	l.end = sync.OnceFunc(func() { r.Close(); w.Close() })
	go func() {
		for p := make([]byte, 4096); !l.stalled.Load(); {
			if _, err := r.Read(p); err != nil {
				return
			}
		}
	}()
	return l, nil
}

// stall stops reading: at most one more read succeeds.
func (l *stallable) stall() { l.stalled.Store(true) }
