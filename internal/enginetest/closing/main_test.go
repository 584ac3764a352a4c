//go:build linux

// Package closing_test tests the end of a connection: closing handshakes, half closes, resets and timeouts in every
// state.
package closing_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
