package handshake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSubprotocols(t *testing.T) {
	for _, tt := range []struct {
		lines    []string // of Sec-WebSocket-Protocol
		offered  []string
		server   []string
		selected string
		bearer   string // "-": none
	}{
		{nil, nil, []string{"chat.v1"}, "", "-"},
		{[]string{"chat.v1"}, []string{"chat.v1"}, nil, "", "-"},
		{[]string{"chat.v1"}, []string{"chat.v1"}, []string{"chat.v1"}, "chat.v1", "-"},
		{[]string{"a, b ,\tc"}, []string{"a", "b", "c"}, []string{"x", "c", "a"}, "c", "-"},
		{[]string{"a,b", "c", ",d,"}, []string{"a", "b", "c", "d"}, []string{"d", "a"}, "d", "-"},
		{[]string{" ,\ta,\t,b\t, "}, []string{"a", "b"}, []string{"b"}, "b", "-"},
		{[]string{"Chat"}, []string{"Chat"}, []string{"chat"}, "", "-"},
		{[]string{"chat.v1"}, []string{"chat.v1"}, []string{"chat"}, "", "-"},
		{[]string{"chat"}, []string{"chat"}, []string{"chat.v1"}, "", "-"},
		{[]string{"bearer.abc-_", "perch.v1"}, []string{"bearer.abc-_", "perch.v1"}, []string{"bearer.abc-_", "perch.v1"}, "perch.v1", "abc-_"},
		{[]string{"perch.v1,bearer."}, []string{"perch.v1", "bearer."}, []string{"bearer."}, "", ""},
		{[]string{"bearer"}, []string{"bearer"}, []string{"bearer"}, "bearer", "-"},
	} {
		var changes []string
		for _, l := range tt.lines {
			changes = append(changes, "+Sec-WebSocket-Protocol: "+l)
		}
		h := head(t, opening(changes...))
		var offered []string
		for s := range h.Subprotocols {
			offered = append(offered, string(s))
		}
		if !slices.Equal(offered, tt.offered) {
			t.Errorf("%q: offered %q, want %q", tt.lines, offered, tt.offered)
		}
		if got := SelectSubprotocol(h, tt.server); got != tt.selected {
			t.Errorf("%q, server %q: selected %q, want %q", tt.lines, tt.server, got, tt.selected)
		}
		token := "-"
		if b := h.BearerSubprotocol(); b != nil {
			token = string(b)
		}
		if token != tt.bearer {
			t.Errorf("%q: bearer %q, want %q", tt.lines, token, tt.bearer)
		}
	}
}

func TestSubprotocolLimit(t *testing.T) {
	var many []string
	for i := range MaxSubprotocols + 1 {
		many = append(many, fmt.Sprint("p", i))
	}
	check := func(s []string) error {
		_, err := head(t, opening("+Sec-WebSocket-Protocol: "+strings.Join(s, ","))).CheckUpgrade()
		return err
	}
	if err := check(many[:MaxSubprotocols]); err != nil {
		t.Errorf("%d subprotocols: %v", MaxSubprotocols, err)
	}
	if err := check(many); err != error(errSubprotocolMany) {
		t.Errorf("%d subprotocols: %v", len(many), err)
	}
}

// Breaking off the range early leaves nothing behind.
func TestSubprotocolsBreak(t *testing.T) {
	h := head(t, opening("+Sec-WebSocket-Protocol: a,b"))
	for range 2 {
		for s := range h.Subprotocols {
			if string(s) != "a" {
				t.Fatalf("first is %q", s)
			}
			break
		}
	}
}
