//go:build linux

// Package callbacks_test tests callbacks that break the rules: they panic, end their goroutine, block, keep what they
// may not keep, or send what cannot be sent; and the worker pool that runs blocking ones.
package callbacks_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
