//go:build linux

// Package rooms_test tests rooms on a server: members, users, history, slow members, and a model that random
// operations are compared with.
package rooms_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
