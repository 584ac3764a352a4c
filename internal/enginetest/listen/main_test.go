//go:build linux

// Package listen_test tests listeners: addresses, unix sockets, inherited ones, the PROXY header, and private
// descriptor tables.
package listen_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
