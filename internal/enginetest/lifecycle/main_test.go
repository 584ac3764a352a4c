//go:build linux

// Package lifecycle_test tests a server from New to Wait: its configuration, start, log, and shutdown.
package lifecycle_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
