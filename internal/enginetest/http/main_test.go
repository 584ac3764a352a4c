//go:build linux

// Package http_test tests HTTP: upgrades and their refusals, plain requests on their way to net/http, upgrades
// that net/http has parsed, and connections that the server opens itself.
package http_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
