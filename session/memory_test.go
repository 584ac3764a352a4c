package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// clock is a time that only the test moves.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.ns.Load()))
}

func (c *clock) pass(d time.Duration) { c.ns.Add(int64(d)) }

func TestMemoryContract(t *testing.T) {
	storetest.Run(t, memoryHarness)
}

// memoryHarness is a Memory under test.
func memoryHarness(*testing.T) storetest.Harness {
	var c clock
	return storetest.Harness{
		Store:        session.NewMemory(session.Config{Clock: c.now}),
		TTL:          session.DefaultTTL,
		AnonymousTTL: session.DefaultAnonymousTTL,
		Pass:         c.pass,
	}
}
