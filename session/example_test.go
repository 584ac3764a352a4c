package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/perchws/perch/session"
)

// A connection breaks, another takes its session over, and a thief gets nothing.
func Example() {
	ctx := context.Background()
	store := session.NewMemory(session.Config{})

	s, err := store.Create(ctx, session.New{
		ConnectionID:  "first",
		UserID:        "ada",
		Authenticated: true,
		Data:          []byte(`{"theme":"dark","draft":"Dear"}`),
	})
	if err != nil {
		fmt.Println(err) // ErrFull: close 1013, try again later
		return
	}
	cookie := s.ID.Text() // to the client

	if s, err = store.Update(ctx, s.ID, []byte(`{"draft":null,"font":12}`)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Data)

	if err := store.Detach(ctx, s.ID, "first"); err != nil { // the connection broke
		fmt.Println(err)
	}

	key, err := session.ParseKey(cookie) // the client sends the text that it was given
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = store.Attach(ctx, session.Claim{Key: key, ConnectionID: "second", UserID: "eve"})
	fmt.Println(errors.Is(err, session.ErrNotFound))
	s, replaced, err := store.Attach(ctx, session.Claim{Key: key, ConnectionID: "second", UserID: "ada"})
	fmt.Printf("%s %t %q %v\n", s.ConnectionID, s.Active, replaced, err)

	_, replaced, err = store.Attach(ctx, session.Claim{Key: key, ConnectionID: "third", UserID: "ada"})
	fmt.Printf("close %q with 3500, %v\n", replaced, err)
	fmt.Println(store.End(ctx, s.ID, "second")) // the first connection closes late, and ends nothing
	fmt.Println(store.End(ctx, s.ID, "third"))
	// Output:
	// {"font":12,"theme":"dark"}
	// true
	// second true "" <nil>
	// close "second" with 3500, <nil>
	// session: not held by this connection
	// <nil>
}

// A token lets a client reconnect once, without showing the session's own key.
func ExampleMemory_Token() {
	ctx := context.Background()
	store := session.NewMemory(session.Config{})
	s, err := store.Create(ctx, session.New{ConnectionID: "first"})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := store.Token(ctx, s.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, connection := range []string{"second", "third"} {
		_, replaced, err := store.Attach(ctx, session.Claim{Key: token, ConnectionID: connection})
		fmt.Printf("%q %v\n", replaced, err)
	}
	// Output:
	// "first" <nil>
	// "" session: not found
}
