package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
)

const noType = "a type that nobody knows"

// TestEndpointsAccept sends every type to every endpoint. Only the types that protocol.Endpoints lists as accepted
// get another answer than an unknown type. docs/protocol.md and the metrics go by that table.
func TestEndpointsAccept(t *testing.T) {
	p := serving(t)
	var types []string
	for _, e := range protocol.Endpoints() {
		types = append(append(types, e.Accepts...), e.Sends...)
	}
	slices.Sort(types)
	types = slices.Compact(types)
	for _, e := range protocol.Endpoints() {
		unknown := probe(t, p, e.Path, noType)
		if any := unknown != "error unknown_type"; any != e.Any {
			t.Errorf("%s answers an unknown type with %s, the table says any: %v", e.Path, unknown, e.Any)
		}
		for _, typ := range types {
			if got := probe(t, p, e.Path, typ); (got != unknown) != slices.Contains(e.Accepts, typ) {
				t.Errorf("%s answers %s with %q, and an unknown type with %q; the table has it: %v",
					e.Path, typ, got, unknown, slices.Contains(e.Accepts, typ))
			}
		}
	}
}

// probe returns the type and the code of the answer to a message; "" if there is none.
func probe(t *testing.T, p *process, path, typ string) (answer string) {
	t.Helper()
	at := slices.IndexFunc(endpoints, func(e struct{ target, first string }) bool {
		target, _, _ := strings.Cut(e.target, "?")
		return pattern(target) == path
	})
	if at < 0 {
		t.Fatalf("no way to ask %s", path)
	}
	c := wstest.Dial(t, p.addr, endpoints[at].target)
	defer c.Close()
	c.Send(wstest.Text(endpoints[at].first), wstest.Text(fmt.Sprintf(`{"type":%q,"id":"probe"}`, typ)), wstest.Text(fmt.Sprintf(`{"type":%q,"id":"end"}`, noType)))
	for {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpClose {
			return answer
		}
		var m struct{ Type, Code, ID string }
		_ = json.Unmarshal(f.Payload, &m)
		switch m.ID {
		case "probe":
			answer = strings.TrimSpace(m.Type + " " + m.Code)
		case "end":
			return answer
		}
	}
}
