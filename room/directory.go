package room

import (
	"github.com/perchws/perch/frame"
)

// Directory is a further interface of the Broker, for brokers of several nodes: it knows on which nodes users are
// connected, and reaches their connections there. Memory does not have it: all connections are on this node.
//
// What a node has told about its users ends with its lease, as for [Census]. Any goroutine may call the methods.
// SignedIn and SignedOut are called with a lock of the hub held: they do not block, they do not call the node before
// they return, and they take no lock that the broker holds while it calls the node. Their calls are carried out in
// order.
type Directory interface {
	// Serve is called once, before the other methods.
	Serve(n Node)

	// SignedIn tells that the first connection of a user on this node has signed in. SignedOut tells that the last one
	// has signed out.
	SignedIn(v Visitor)
	SignedOut(v Visitor)

	// SendUser brings f to the connections of a user on other nodes. It may be lost.
	SendUser(user string, f Frames)

	// CloseUser closes the connections of a user on other nodes. It may be lost, if a node cannot be reached.
	CloseUser(user string, code frame.CloseCode, reason string)

	// Connections asks for the connections of a user on other nodes, by their names. answer is called once, before
	// Connections returns or later, on any goroutine. Error: ErrUnavailable.
	Connections(user string, answer func(names []string, err error))
}

// Node is what the broker asks a node about its users, for other nodes. The hub implements it. Any goroutine may call
// the methods, which do not block.
type Node interface {
	// SendUser queues f for the connections of a user on this node.
	SendUser(user string, f Frames)

	// CloseUser closes the connections of a user on this node.
	CloseUser(user string, code frame.CloseCode, reason string)

	// Connections returns the names of the connections of a user on this node.
	Connections(user string) []string

	// Forgotten tells that the lease of this node has ended, and that it has a new one: the users on this node are
	// told again.
	Forgotten()
}

// node is the hub as a Node.
type node struct{ h *Hub }

// SendUser implements Node.
func (n node) SendUser(user string, f Frames) {
	if f.Err() == nil {
		_, _ = n.h.sendUser(user, f, nil) // it may be lost
	}
}

// CloseUser implements Node.
func (n node) CloseUser(user string, code frame.CloseCode, reason string) {
	if code.Valid() {
		n.close(user, code, reason, nil)
	}
}

// Connections implements Node.
func (n node) Connections(user string) []string {
	names := []string{}
	for _, m := range n.members(user) {
		names = append(names, n.h.loops[m.Loop].Name(m))
	}
	return names
}

// Forgotten implements Node.
func (n node) Forgotten() {
	n.h.Users(int(^uint(0)>>1), func(u *User) {
		n.h.usersMu.Lock()
		defer n.h.usersMu.Unlock()
		if n.h.users[u.id] == u {
			n.signedIn(u)
		}
	})
}

// serve lets the broker reach the users of this node.
func (n node) serve() {
	d, ok := n.h.cfg.Broker.(Directory)
	if !ok {
		return
	}
	n.h.directory = d
	n.h.cfg.call("Broker.Serve", func() { d.Serve(n) })
}

// signedIn tells other nodes about a user. usersMu is held.
func (n node) signedIn(u *User) {
	if d := n.h.directory; d != nil {
		n.h.cfg.call("Broker.SignedIn", func() { d.SignedIn(visitorOf(u)) })
	}
}

// signedOut tells other nodes that a user has gone. usersMu is held.
func (n node) signedOut(u *User) {
	if d := n.h.directory; d != nil {
		n.h.cfg.call("Broker.SignedOut", func() { d.SignedOut(visitorOf(u)) })
	}
}

// members returns the connections of a user on this node.
func (n node) members(user string) []Member {
	n.h.usersMu.Lock()
	defer n.h.usersMu.Unlock()
	if u := n.h.users[user]; u != nil {
		return u.all()
	}
	return nil
}

// close closes the connections of a user on this node, except those listed. It returns the number of those it closes.
func (n node) close(user string, code frame.CloseCode, reason string, except []Member) (closed int) {
	for _, m := range excluded(n.members(user), except) {
		if n.h.loops[m.Loop].Close(m, code, reason) == nil {
			closed++
		}
	}
	return closed
}

// CloseUser closes the connections of a user on all nodes, except those listed. It returns the number of these
// connections on this node. With a code that may not stand in a close frame it does nothing. Any goroutine. It does not
// wait: the user may connect again meanwhile.
func (h *Hub) CloseUser(id string, code frame.CloseCode, reason string, except ...Member) (n int) {
	if !code.Valid() {
		return 0
	}
	if h.directory != nil {
		h.cfg.call("Broker.CloseUser", func() { h.directory.CloseUser(id, code, reason) })
	}
	return node{h}.close(id, code, reason, except)
}

// Elsewhere asks for the connections of a user on other nodes, by their names: those that perch.ID's String returns.
// answer is called once: before Elsewhere returns if the broker has one node, else perhaps later, on any goroutine.
// Errors: ErrQueueFull, and ErrUnavailable, which also wraps the broker's errors. [Hub.Connections] returns the
// connections on this node.
func (h *Hub) Elsewhere(id string, answer func(names []string, err error)) {
	if h.directory == nil {
		answer(nil, nil)
		return
	}
	inquire(h, "Broker.Connections", func(a func([]string, error)) { h.directory.Connections(id, a) }, answer)
}
