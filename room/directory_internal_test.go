package room

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A message to a user reaches its connections on all nodes.
func TestSendUserElsewhere(t *testing.T) {
	two := newTwoNodes(t, Config{})
	here, there, other := two.visitor(0, "ada"), two.visitor(1, "ada"), two.visitor(1, "bob")
	two.settle()
	send := func(want int) {
		t.Helper()
		n, err := two.w[0].SendUser("ada", text("hello"))
		if err != nil || n != want {
			t.Errorf("%d connections here, %v", n, err)
		}
		two.settle()
	}
	send(1)
	here.expect("hello")
	there.expect("hello")
	other.expect()
	here.close()
	send(0)
	there.expect("hello")
	there.close()
	send(0)
	there.expect()
}

// CloseUser closes the connections of a user on all nodes, except those listed, and no others.
func TestCloseUser(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{})
	here, kept, there := two.visitor(0, "ada"), two.visitor(0, "ada"), two.visitor(1, "ada")
	other := two.visitor(1, "bob")
	here.join(r[0])
	there.join(r[1])
	two.settle()
	if n := two.w[0].CloseUser("ada", 3501, "go", kept.Member); n != 1 {
		t.Errorf("%d connections here", n)
	}
	two.settle()
	here.expect("3501 go")
	there.expect("3501 go")
	kept.expect()
	other.expect()
	if n := two.w[1].CloseUser("ada", 1006, "not a code"); n != 0 {
		t.Errorf("%d connections", n)
	}
	two.settle()
	kept.expect()
	if r[0].Count() != 0 || two.w[1].User("ada") != nil {
		t.Errorf("%d members are left, %v", r[0].Count(), two.w[1].User("ada"))
	}
	// On one node.
	w := newWorld(t, 1, Config{})
	c := w.connect(0)
	c.signIn("ada", 0)
	if n := w.CloseUser("ada", 3501, "go"); n != 1 {
		t.Errorf("%d connections", n)
	}
	w.run()
	c.expect("3501 go")
}

// The connections of a user on other nodes are found, also after the lease of a node has ended and it has another one.
func TestElsewhere(t *testing.T) {
	two := newTwoNodes(t, Config{})
	two.visitor(0, "ada")
	there := two.visitor(1, "ada")
	two.settle()
	find := func(node int, want ...string) {
		t.Helper()
		var got []string
		calls := 0
		two.w[node].Elsewhere("ada", func(names []string, err error) {
			got = names
			if calls++; err != nil || calls > 1 {
				t.Error(err, calls)
			}
		})
		two.settle()
		if calls != 1 || !slices.Equal(got, want) {
			t.Errorf("%d answers, %q, want %q", calls, got, want)
		}
	}
	find(0, "0.0.1")
	find(1, "0.0.1")
	two.expire(1)
	find(0)
	two.renew(1)
	two.settle()
	find(0, "0.0.1")
	there.close()
	find(0)
	newWorld(t, 1, Config{}).Elsewhere("ada", func(names []string, err error) {
		if names != nil || err != nil {
			t.Errorf("on one node: %q, %v", names, err)
		}
	})
}

// Questions to the broker are answered once, whatever it does, and are bounded.
func TestInquiries(t *testing.T) {
	two := newTwoNodes(t, Config{MaxWaitingTotal: 3 * waitCost})
	r := two.open("r", Options{})
	var told []string
	ask := func() {
		two.w[0].Elsewhere("ada", func(_ []string, err error) { told = append(told, describe(err)) })
		r[0].Everyone(1, func(_ []Present, _ int, err error) { told = append(told, describe(err)) })
	}
	for _, test := range []struct {
		fate fate
		want string
	}{{answer, "ok"}, {twice, "ok"}, {silent, "timeout"}, {never, "timeout"}, {broken, "unavailable"}} {
		two.fate = func(string) fate { return test.fate }
		ask()
		two.settle()
		two.w[0].pass(10 * time.Second)
		two.settle()
		if want := []string{test.want, test.want}; !slices.Equal(told, want) {
			t.Errorf("fate %d: told %q, want %q", test.fate, told, want)
		}
		told = nil
		two.w[0].auditWaits()
	}
	two.fate = nil
	ask()
	ask() // one too many
	if !slices.Equal(told, []string{"queue full"}) {
		t.Errorf("told %q", told)
	}
	two.w[0].Close()
	ask()
	two.settle()
	if want := []string{"queue full", "closed", "closed", "closed", "closed", "closed"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	two.w[0].auditWaits()
	_ = two.w[1].Delete(r[1], "")
	told = nil
	r[1].Everyone(1, func(_ []Present, _ int, err error) { told = append(told, describe(err)) })
	if !slices.Equal(told, []string{"not found"}) {
		t.Errorf("told %q", told)
	}
}

// describe names an error of an inquiry.
func describe(err error) string {
	for _, e := range []struct {
		err  error
		name string
	}{
		{nil, "ok"}, {ErrTimeout, "timeout"}, {ErrQueueFull, "queue full"}, {ErrClosed, "closed"},
		{ErrNotFound, "not found"}, {ErrBroker, "broker"}, {ErrUnavailable, "unavailable"},
	} {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return fmt.Sprint(err)
}

// A broker that panics costs the question alone.
func TestInquiryPanics(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{})
	r[0].census.by = panicking{}
	var told []string
	r[0].Everyone(1, func(_ []Present, _ int, err error) { told = append(told, describe(err)) })
	if !slices.Equal(told, []string{"broker"}) {
		t.Errorf("told %q", told)
	}
	two.w[0].auditWaits()
}

// panicking is a Census that panics.
type panicking struct{ Census }

// The users of all nodes are listed; on one node at once.
func TestEveryone(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{})
	two.visitor(0, "ada").join(r[0])
	two.visitor(1, "bob").join(r[1])
	two.visitor(1, "ada").join(r[1])
	two.visitor(1, "").join(r[1])
	two.settle()
	list := func(r *Room, most int) (got string) {
		r.Everyone(most, func(some []Present, all int, err error) {
			for _, p := range some {
				got += p.ID + " "
			}
			got += fmt.Sprint(all, err)
		})
		two.settle()
		return got
	}
	if got := list(r[0], 5); got != "ada bob 2 <nil>" {
		t.Error(got)
	}
	if got := list(r[1], 1); got != "ada 2 <nil>" {
		t.Error(got)
	}
	w := newWorld(t, 1, Config{})
	here := w.create("r", Options{})
	c := w.connect(0)
	c.signIn("ada", 0)
	w.now = w.now.Add(5 * time.Second)
	c.join(here)
	calls := 0
	here.Everyone(5, func(some []Present, all int, err error) {
		calls++
		want := []Present{{Visitor{"ada", "ada"}, here.Created().Add(5 * time.Second)}}
		if !slices.Equal(some, want) || all != 1 || err != nil {
			t.Errorf("%v, %d, %v", some, all, err)
		}
	})
	if calls != 1 {
		t.Errorf("%d answers on one node", calls)
	}
}
