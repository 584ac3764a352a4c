//go:build linux

// Package limits_test tests limits: connections, new ones, handshakes, messages, rates, output and descriptors.
package limits_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
