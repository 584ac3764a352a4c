package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// legalCodes are the ranges that may stand in a close frame; everything else from
// 0 to 65535 may not. RFC 6455 §7.4.1, the IANA registry, §7.4.2.
var legalCodes = [][2]int{{1000, 1003}, {1007, 1014}, {3000, 4999}}

func legalCode(code int) bool {
	for _, r := range legalCodes {
		if code >= r[0] && code <= r[1] {
			return true
		}
	}
	return false
}

// Reading, writing and Valid know the same table.
func TestCloseCodes(t *testing.T) {
	legal := 0
	for i := range 1 << 16 {
		code, wire := CloseCode(i), binary.BigEndian.AppendUint16(nil, uint16(i))
		want := legalCode(i)
		if want {
			legal++
		}
		if code.Valid() != want {
			t.Errorf("CloseCode(%d).Valid() = %v", i, !want)
		}
		got, reason, err := ParseClose(append(wire, "why"...))
		if want && (got != code || string(reason) != "why" || err != nil) {
			t.Errorf("ParseClose of %d = %d, %q, %v", i, got, reason, err)
		}
		if !want && (got != 0 || reason != nil || !errors.Is(err, ErrCloseCode)) {
			t.Errorf("ParseClose of %d = %d, %q, %v, want %v", i, got, reason, err, ErrCloseCode)
		}
		sent := AppendClose([]byte("x"), code, "why")
		if want && string(sent) != "x"+string(wire)+"why" || !want && string(sent) != "x" {
			t.Errorf("AppendClose of %d = %x", i, sent)
		}
	}
	if legal != 4+8+2000 {
		t.Errorf("%d codes are legal", legal)
	}
}

func TestCloseCodeNames(t *testing.T) {
	for code, want := range map[CloseCode]string{
		0: "0", 999: "999", 1004: "1004", 1016: "1016", 3000: "3000", 65535: "65535",
		CloseNormal: "1000 normal closure", CloseGoingAway: "1001 going away", CloseProtocolError: "1002 protocol error",
		CloseUnsupportedData: "1003 unsupported data", CloseNoStatus: "1005 no status", CloseAbnormal: "1006 abnormal closure",
		CloseInvalidPayload: "1007 invalid payload data", ClosePolicyViolation: "1008 policy violation",
		CloseMessageTooBig: "1009 message too big", CloseMandatoryExtension: "1010 mandatory extension",
		CloseInternalError: "1011 internal error", CloseServiceRestart: "1012 service restart",
		CloseTryAgainLater: "1013 try again later", CloseBadGateway: "1014 bad gateway", CloseTLSHandshake: "1015 TLS handshake",
	} {
		if got := code.String(); got != want {
			t.Errorf("CloseCode(%d).String() = %q, want %q", uint16(code), got, want)
		}
	}
}

func TestParseClose(t *testing.T) {
	long := strings.Repeat("x", MaxCloseReason)
	for _, tt := range []struct {
		name, payload string
		code          CloseCode
		reason        string
		err           error
	}{
		{"empty", "", CloseNoStatus, "", nil}, // §7.1.5
		{"one byte", "\x03", 0, "", ErrClosePayload},
		{"code alone", "\x03\xe8", CloseNormal, "", nil},
		{"code and reason", "\x03\xe9bye", CloseGoingAway, "bye", nil},
		{"longest reason", "\x0f\xa0" + long, 4000, long, nil},
		{"1005 on the wire", "\x03\xed", 0, "", ErrCloseCode},
		{"1006 on the wire", "\x03\xee", 0, "", ErrCloseCode},
		{"1015 on the wire", "\x03\xf7", 0, "", ErrCloseCode},
		{"reason not UTF-8", "\x03\xe8\xce\xba\xff", 0, "", ErrCloseReason},
		{"reason ends in a character", "\x03\xe8\xe2\x82", 0, "", ErrCloseReason},
		{"both wrong", "\x00\x00\xff", 0, "", ErrCloseCode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, reason, err := ParseClose([]byte(tt.payload))
			if code != tt.code || string(reason) != tt.reason || !errors.Is(err, tt.err) {
				t.Errorf("%d, %q, %v, want %d, %q, %v", code, reason, err, tt.code, tt.reason, tt.err)
			}
		})
	}
}

// A reason is cut before the character that would cross byte 123, wherever in the
// character that is.
func TestAppendCloseCut(t *testing.T) {
	for _, char := range []string{"x", "é", "€", "😀"} {
		for ascii := range 8 {
			for chars := range 2 * MaxCloseReason {
				reason := strings.Repeat("a", ascii) + strings.Repeat(char, chars)
				got := string(AppendClose(nil, CloseNormal, reason))
				kept, ok := strings.CutPrefix(got, "\x03\xe8")
				if !ok || !strings.HasPrefix(reason, kept) || !utf8.ValidString(kept) || len(kept) > MaxCloseReason {
					t.Fatalf("%d × a, %d × %s: %q", ascii, chars, char, got)
				}
				if len(kept) < len(reason) && len(kept)+len(char) <= MaxCloseReason {
					t.Fatalf("%d × a, %d × %s: only %d bytes kept", ascii, chars, char, len(kept))
				}
			}
		}
	}
}

func TestAppendCloseBadReason(t *testing.T) {
	for _, reason := range []string{"\xff", "bye\x80", "\xe2\x82", strings.Repeat("\x80", 200), strings.Repeat("a", 60) + "\xc0" + strings.Repeat("a", 100)} {
		if got := AppendClose([]byte("x"), CloseGoingAway, reason); string(got) != "x\x03\xe9" {
			t.Errorf("reason %q: %q, want the code alone", reason, got)
		}
	}
}

// faults are all errors of the package.
var faults = []*ProtocolError{
	ErrRSV, ErrOpcode, ErrControlLong, ErrControlFragment, ErrNotMasked, ErrMasked, ErrLengthNotMinimal, ErrLengthTopBit,
	ErrNoMessage, ErrInMessage, ErrClosePayload, ErrCloseCode, ErrCloseReason, ErrUTF8, ErrTooBig, ErrTooManyFragments,
}

// Every fault can be sent as it is, and told from the others.
func TestProtocolErrors(t *testing.T) {
	reasons := map[string]bool{}
	for _, e := range faults {
		if !e.Code.Valid() || e.Reason == "" || reasons[e.Reason] {
			t.Errorf("%v: code %d, reason %q", e, e.Code, e.Reason)
		}
		reasons[e.Reason] = true
		code, reason, err := ParseClose(AppendClose(nil, e.Code, e.Reason))
		if code != e.Code || string(reason) != e.Reason || err != nil {
			t.Errorf("%v arrives as %d, %q, %v", e, code, reason, err)
		}
	}
	if got, want := ErrUTF8.Error(), "websocket: text is not UTF-8 (1007)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzParseClose(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x03"))
	f.Add([]byte("\x03\xe8bye"))
	f.Add([]byte("\x03\xf6\xe2\x82\xac"))
	f.Add(append([]byte("\x0f\xa0"), strings.Repeat("é", 70)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		code, reason, err := ParseClose(p)
		if !bytes.Equal(p, before) {
			t.Fatal("ParseClose changed the payload")
		}
		if len(p) >= 2 { // gobwas takes more codes than are legal, so only its layout counts
			peer, why := ws.ParseCloseFrameData(p)
			if err == nil && (CloseCode(peer) != code || why != string(reason)) {
				t.Fatalf("%x: %d %q, gobwas %d %q", p, code, reason, peer, why)
			}
			legal := legalCode(int(binary.BigEndian.Uint16(p))) && utf8.Valid(p[2:])
			if legal != (err == nil) {
				t.Fatalf("%x: %v", p, err)
			}
		}
		if err != nil || len(p) == 0 {
			if reason != nil || err != nil && code != 0 || err == nil && code != CloseNoStatus || err != nil && len(p) == 0 {
				t.Fatalf("%x: %d, %q, %v", p, code, reason, err)
			}
			return
		}
		got := AppendClose(nil, code, string(reason))
		if len(got) > MaxControlPayload || !bytes.HasPrefix(p, got) || len(p) <= MaxControlPayload && len(got) != len(p) {
			t.Fatalf("%x is written again as %x", p, got)
		}
	})
}
