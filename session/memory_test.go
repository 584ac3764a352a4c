package session_test

import (
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// noon is when the clocks of the tests begin.
var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

func TestMemoryContract(t *testing.T) {
	storetest.Run(t, memoryHarness)
}

// memoryHarness is a Memory under test.
func memoryHarness(*testing.T) storetest.Harness {
	c := clock.NewManual(noon)
	return storetest.Harness{
		Store:        session.NewMemory(session.Config{Clock: c}),
		TTL:          session.DefaultTTL,
		AnonymousTTL: session.DefaultAnonymousTTL,
		Pass:         c.Advance,
	}
}
