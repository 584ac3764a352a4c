//go:build linux

package perch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/beside"
	"github.com/perchws/perch/internal/closing"
)

// TestDocumentedFigures holds figures in documents against the constants and defaults of the code.
func TestDocumentedFigures(t *testing.T) {
	c, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	const kib, mib = 1 << 10, 1 << 20
	for _, tt := range []struct {
		document, format string
		figures          []any
	}{
		{"README.md", "%d KiB, %d headers, %.0f s", []any{c.MaxHead / kib, c.MaxHeaders, c.HandshakeTimeout.Seconds()}},
		{"README.md", "| %d; %.0f s | the one idle longest makes room", []any{c.MaxHTTP, c.IdleTimeout.Seconds()}},
		{"README.md", "%d in all loops together, with reserved paths a twentieth", []any{overflowFew}},
		{"README.md", "to %d; %d for each loop at least", []any{overflowMany, overflowLeast}},
		{"README.md", "| %d, %d wait; %d MiB | 503; cut |", []any{reservedAtOnce, reservedWaiting, reservedBody / mib}},
		{"README.md", "connections per address (IPv6: per /64) | %d; unlimited from loopback", []any{c.MaxConnectionsPerIP}},
		{"README.md", "| %d; %d, unlimited from loopback | 503; 429 |", []any{c.NewConnectionsPerSecond, c.NewConnectionsPerIP}},
		{"README.md", "| %d KiB; %d; %.0f s, anew for every %d KiB |", []any{c.MaxMessageSize / kib, c.MaxFragments, c.MessageTimeout.Seconds(), messageStep / kib}},
		{"README.md", "| %d, %d; %d MiB per connection |", []any{c.Rate.Messages, c.Rate.Burst, c.Rate.Bytes / mib}},
		{"README.md", "output waiting: one connection; all | %d MiB; %d MiB |", []any{c.MaxOutput / mib, c.MaxOutputTotal / mib}},
		{"README.md", "ping after %.0f s, closed after %.0f s", []any{c.PingInterval.Seconds(), c.PingTimeout.Seconds()}},
		{"README.md", "none of an HTTP body, either way | %.0f s |", []any{c.WriteTimeout.Seconds()}},
		{"README.md", "| closing handshake | %.0f s |", []any{c.CloseTimeout.Seconds()}},
		{"docs/architecture.md", "`slot`, %d bytes, no pointer | chunks of %d", []any{unsafe.Sizeof(slot{}), chunkSize}},
		{"docs/architecture.md", "a page of %d is made", []any{beside.PageSize}},
		{"docs/architecture.md", "one per loop, %d KiB | the last 8192 events", []any{unsafe.Sizeof(closing.Journal{}) / kib}},
		{"docs/architecture.md", "at most %d. Each connection is read once, up to %d KiB", []any{eventBudget, readBudget / kib}},
		{"docs/architecture.md", "results of workers; at most %d, fewer if rooms are large", []any{postBudget}},
		{"docs/architecture.md", "up to %d messages or %d KiB", []any{lagMessages, lagBytes / kib}},
		{"docs/architecture.md", "sent nothing for %d ms", []any{overflowGrace.Milliseconds()}},
		{"docs/architecture.md", "let go after a %s without one", []any{map[float64]string{1: "minute"}[codecIdle.Minutes()]}},
		{"docs/architecture.md", "silent for a %s loses its record buffers", []any{map[float64]string{1: "second"}[stripAfter.Seconds()]}},
	} {
		text, err := os.ReadFile(tt.document)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(tt.format, tt.figures...); !strings.Contains(strings.Join(strings.Fields(string(text)), " "), want) {
			t.Errorf("%s does not say %q, as the code has it", tt.document, want)
		}
	}
	if c.MaxHead != handshake.MaxHead || c.MaxHeaders != handshake.MaxHeaders {
		t.Errorf("a head of %d bytes and %d headers: package handshake has other defaults", c.MaxHead, c.MaxHeaders)
	}
}
