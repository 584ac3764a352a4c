package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"strings"
	"testing"

	"github.com/perchws/perch/session"
)

func TestKeyText(t *testing.T) {
	k := session.Key{0xfb, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}
	const text = "-_8AAQIDBAUGBwgJCgsMDQ4PEBESExQV"
	if got := k.Text(); got != text {
		t.Errorf("Text %q, want %q", got, text)
	}
	if got, err := session.ParseKey(text); err != nil || got != k {
		t.Errorf("ParseKey: %v, %v", got, err)
	}
	b, err := json.Marshal(k)
	if err != nil || string(b) != `"`+text+`"` {
		t.Errorf("JSON %s, %v", b, err)
	}
	var back session.Key
	if err := json.Unmarshal(b, &back); err != nil || back != k {
		t.Errorf("from JSON: %v, %v", back, err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	text := session.NewKey().Text()
	for _, bad := range []string{
		"", "x", text[:31], text + "A", text + "=", text[:31] + "=", text[:31] + "+", text[:31] + "/",
		text[:31] + " ", text[:31] + "\n", "\n" + text[:30] + "\n", strings.Repeat("\n", 32), text[:28] + "\r\n\r\n",
		strings.Repeat("é", 16), "\x00" + text[1:],
	} {
		if k, err := session.ParseKey(bad); !errors.Is(err, session.ErrNotFound) || k != (session.Key{}) {
			t.Errorf("ParseKey(%q): %s, %v, want ErrNotFound and the zero key", bad, k.Text(), err)
		}
	}
}

// TestKeysDiffer cannot prove randomness; it finds counters, times, and bits that
// are always the same.
func TestKeysDiffer(t *testing.T) {
	const n = 20_000
	seen := make(map[session.Key]bool, n)
	var ones [len(session.Key{}) * 8]int
	var distance int
	last := session.NewKey()
	for range n {
		k := session.NewKey()
		if seen[k] {
			t.Fatal("a key came twice")
		}
		seen[k] = true
		for i, b := range k {
			distance += bits.OnesCount8(b ^ last[i])
			for j := range 8 {
				ones[i*8+j] += int(b >> j & 1)
			}
		}
		last = k
	}
	// A fair bit is 10,000 ± 71; ten times that is out of reach of chance.
	for i, got := range ones {
		if got < n/2-710 || got > n/2+710 {
			t.Errorf("bit %d is set in %d of %d keys", i, got, n)
		}
	}
	if mean := float64(distance) / n; mean < 95 || mean > 97 {
		t.Errorf("neighbours differ in %.2f bits of 192, want 96", mean)
	}
}

// TestKeyIsNotShown prints keys in every way that happens by accident.
func TestKeyIsNotShown(t *testing.T) {
	s := session.Session{ID: session.NewKey(), UserID: "ada", Data: `{"secret":"of the client"}`}
	var log bytes.Buffer
	for _, logger := range []*slog.Logger{
		slog.New(slog.NewJSONHandler(&log, nil)),
		slog.New(slog.NewTextHandler(&log, nil)),
	} {
		logger.Info("m", "key", s.ID, "session", s)
	}
	shown := log.String() + fmt.Sprintf("%v %+v %#v %s %q", s.ID, s.ID, s.ID, s.ID, s.ID) +
		fmt.Sprintf("%v %+v %#v", s, s, s) + fmt.Sprint(fmt.Errorf("with %v", s.ID))
	if strings.Contains(shown, s.ID.Text()) || strings.Contains(shown, s.ID.Text()[9:]) {
		t.Errorf("the key is in %s", shown)
	}
	if !strings.Contains(log.String(), s.ID.Text()[:8]) || !strings.Contains(log.String(), "ada") {
		t.Errorf("the log does not tell which session: %s", log.String())
	}
	if strings.Contains(log.String(), "of the client") {
		t.Errorf("the data is logged: %s", log.String())
	}
}
