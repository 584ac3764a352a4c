package brokertest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// directory is the room.Directory of one node, with what it has asked of the node.
type directory struct {
	room.Directory
	c *check

	mu    sync.Mutex
	got   []string
	names map[string][]string // of connections, by user
	news  chan struct{}       // one at the next call
}

// directory serves a node. It skips the test if the broker is no room.Directory.
func (c *check) directory(i int) *directory {
	c.Helper()
	d, ok := c.Nodes[i].(room.Directory)
	if !ok {
		c.Skip("the broker does not know where users are")
	}
	n := &directory{Directory: d, c: c, names: make(map[string][]string), news: make(chan struct{}, 1)}
	d.Serve(n.node())
	return n
}

// served is the room.Node of a directory.
type served struct{ d *directory }

func (d *directory) node() room.Node { return served{d} }

// SendUser implements room.Node.
func (s served) SendUser(user string, f room.Frames) {
	s.d.note(fmt.Sprintf("%s: %s", user, f[0].Payload()))
}

// CloseUser implements room.Node.
func (s served) CloseUser(user string, code frame.CloseCode, reason string) {
	s.d.note(fmt.Sprintf("%s: %d %s", user, uint16(code), reason))
}

// Connections implements room.Node.
func (s served) Connections(user string) []string {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return slices.Clone(s.d.names[user])
}

// Forgotten implements room.Node.
func (s served) Forgotten() { s.d.note("another lease") }

func (d *directory) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, what)
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// hears demands that this is what the node was asked since the last call.
func (d *directory) hears(want ...string) {
	d.c.Helper()
	for {
		d.mu.Lock()
		got := slices.Clone(d.got)
		if len(got) >= len(want) {
			d.got = nil
		}
		d.mu.Unlock()
		if len(got) >= len(want) {
			if !slices.Equal(got, want) {
				d.c.Errorf("the node was asked for %q, want %q", got, want)
			}
			return
		}
		d.c.within(fmt.Sprintf("%q", want), d.news)
	}
}

// connections asks for the connections of a user on other nodes.
func (d *directory) connections(user string) (names []string) {
	d.c.Helper()
	answered := make(chan struct{})
	d.Connections(user, func(all []string, err error) {
		defer close(answered) // a second answer is a panic
		if err != nil {
			d.c.Errorf("Connections(%q): %v", user, err)
		}
		names = slices.Sorted(slices.Values(all))
	})
	d.c.within("the connections", answered)
	return names
}

// reachesUsers: what one node sends to a user, or closes, reaches the others on which the user is.
func reachesUsers(c *check) {
	a, b := c.directory(0), c.directory(1)
	a.SignedIn(ada)
	b.SignedIn(ada)
	b.SignedIn(bob)
	b.connections("ada") // all have signed in by now
	a.connections("ada")
	a.SendUser("ada", room.Text([]byte("hello")))
	a.SendUser("bob", room.Text([]byte("bob")))
	a.SendUser("eve", room.Text([]byte("nobody")))
	a.CloseUser("ada", 3501, "go")
	b.hears("ada: hello", "bob: bob", "ada: 3501 go")
	b.SendUser("ada", room.Text([]byte("back")))
	b.SendUser("bob", room.Text([]byte("is here alone")))
	a.hears("ada: back")
	b.SignedOut(ada)
	b.connections("ada")
	a.SendUser("ada", room.Text([]byte("gone")))
	a.SendUser("bob", room.Text([]byte("end")))
	b.hears("bob: end")
	a.hears()
}

// findsConnections: a node finds the connections of a user on the others.
func findsConnections(c *check) {
	a, b := c.directory(0), c.directory(1)
	a.names["ada"], b.names["ada"] = []string{"a1"}, []string{"b1", "b2"}
	if got := a.connections("ada"); len(got) != 0 {
		c.Errorf("%q before it has signed in", got)
	}
	a.SignedIn(ada)
	b.SignedIn(ada)
	a.connections("ada")
	b.connections("ada")
	if got := a.connections("ada"); !slices.Equal(got, []string{"b1", "b2"}) {
		c.Errorf("%q, want those on the other node", got)
	}
	if got := b.connections("ada"); !slices.Equal(got, []string{"a1"}) {
		c.Errorf("%q, want the one on the other node", got)
	}
	b.SignedOut(ada)
	b.connections("ada")
	if got := a.connections("ada"); len(got) != 0 {
		c.Errorf("%q after it has signed out", got)
	}
}

// forgetsUsers: the users of a node whose lease has ended are there no more. With another lease the node tells them
// again.
func forgetsUsers(c *check) {
	if c.Expire == nil {
		c.Skip("nodes have no leases")
	}
	a, b := c.directory(0), c.directory(1)
	b.names["ada"] = []string{"b1"}
	b.SignedIn(ada)
	b.connections("ada")
	c.Expire(1)
	if got := a.connections("ada"); len(got) != 0 {
		c.Errorf("%q on a node whose lease has ended", got)
	}
	c.Renew(1)
	b.hears("another lease")
	b.SignedIn(ada)
	b.connections("ada")
	if got := a.connections("ada"); !slices.Equal(got, []string{"b1"}) {
		c.Errorf("%q with another lease", got)
	}
}
