package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// TestFaultyContract: a store that answers late, in another order and twice still keeps the contract. So do Sync and
// RunAsync, which stores on a network will need.
func TestFaultyContract(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"AtOnce": storetest.AtOnce, "Twice": storetest.Twice, "Late": storetest.Late} {
		t.Run(name, func(t *testing.T) {
			storetest.RunAsync(t, func(t *testing.T) (session.Async, storetest.Harness) {
				h := memoryHarness(t)
				f := storetest.NewFaulty(h.Store, storetest.All(fault))
				t.Cleanup(f.Scramble(7))
				return f, h
			})
		})
	}
}

// TestSyncUnavailable: a caller without an answer waits until its deadline, and no longer.
func TestSyncUnavailable(t *testing.T) {
	memory := session.NewMemory(session.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for _, fault := range []storetest.Fault{storetest.Never, storetest.Lost} {
		store := session.Sync(storetest.NewFaulty(memory, storetest.All(fault)))
		if _, err := store.Create(ctx, session.New{}); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	}
	if n := memory.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions, want that of the call whose answer never came", n)
	}
	for _, fault := range []storetest.Fault{storetest.Refused, storetest.Uncertain} {
		store := session.Sync(storetest.NewFaulty(memory, storetest.All(fault)))
		if _, err := store.Create(t.Context(), session.New{}); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if n := memory.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions, want two", n)
	}
}

// TestCarryNothing: a Call without an operation is a fault of the program.
func TestCarryNothing(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	session.Carry(t.Context(), session.NewMemory(session.Config{}), session.Call{})
}

func TestOpString(t *testing.T) {
	if got := session.OpEndOthers.String() + " " + session.Op(0).String() + " " + session.Op(200).String(); got != "end others unknown unknown" {
		t.Error(got)
	}
}
