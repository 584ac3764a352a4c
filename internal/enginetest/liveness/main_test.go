//go:build linux

// Package liveness_test tests peers that are silent, slow, paused or gone: pings, timeouts, and slow consumers.
package liveness_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
