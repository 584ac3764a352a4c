//go:build linux

// Package compression_test tests permessage-deflate: what is agreed on, what is compressed, and hostile input.
package compression_test

import (
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }
