//go:build linux

// Package tls_test tests TLS: handshakes, records, identities, memory, and plain HTTP on the same port.
package tls_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
