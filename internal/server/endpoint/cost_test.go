package endpoint

import (
	"encoding/json"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/session"
)

// TestAskCost: asking a store that answers at once allocates nothing except inside the store, also when a session is
// begun or taken.
func TestAskCost(t *testing.T) {
	store := session.NewMemory(session.Config{})
	r := New(Config{Sessions: store})
	defer r.Close()
	c := &Client{at: &served{realm: r}}
	s, err := store.Create(t.Context(), session.New{UserID: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	var conn perch.Conn
	msg := json.RawMessage(`"id"`)
	type state [3]string
	answered := 0
	tell := func(state, perch.Conn, *Client, json.RawMessage, session.Answer) error { answered++; return nil }
	get := testing.AllocsPerRun(100, func() {
		if err := ask(conn, c, msg, session.Call{Op: session.OpGet, ID: s.ID}, state{}, tell); err != nil {
			t.Fatal(err)
		}
	})
	begun := func(state, perch.Conn, *Client, json.RawMessage, session.Session, error) error {
		answered++
		return nil
	}
	begin := testing.AllocsPerRun(100, func() {
		if err := Begin(conn, c, nil, Beginning{User: "ada"}, state{}, begun); err != nil {
			t.Fatal(err)
		}
		c.session = session.Key{}
	})
	id := conn.ID().String()
	create := testing.AllocsPerRun(100, func() {
		if _, err := store.Create(t.Context(), session.New{ConnectionID: id, UserID: "ada"}); err != nil {
			t.Fatal(err)
		}
	})
	named := testing.AllocsPerRun(100, func() { id = conn.ID().String() })
	if get != 0 || begin > create+named {
		t.Errorf("Get allocates %v times; Begin %v times, where the store does %v and the name %v", get, begin, create, named)
	}
	if answered == 0 {
		t.Error("the store was not asked")
	}
}
