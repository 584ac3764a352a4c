package brokertest

import (
	"slices"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// LateNode is one node of a Late of several nodes. It is a room.Broker and a room.Directory, and its topics are a
// room.Census.
type LateNode struct {
	b     *Late
	local room.Node // nil: Serve was not called

	// Under Late.mu.
	users   []room.Visitor // that have signed in
	expired bool           // the lease has ended
}

// UsersSteps is where the steps of calls about users wait: [Late.Step] takes it like the id of a room.
const UsersSteps = ""

// Node returns another node.
func (b *Late) Node() *LateNode {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &LateNode{b: b}
	b.all = append(b.all, n)
	return n
}

// Open implements room.Broker.
func (n *LateNode) Open(id string, create *room.Options, s room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	n.b.open(id, create, s, n, opened)
}

// Serve implements room.Directory.
func (n *LateNode) Serve(local room.Node) { n.local = local }

// SignedIn implements room.Directory.
func (n *LateNode) SignedIn(v room.Visitor) {
	n.b.add(UsersSteps, func(*lateRoom) {
		n.b.mu.Lock()
		defer n.b.mu.Unlock()
		if !n.expired && !slices.Contains(n.users, v) {
			n.users = append(n.users, v)
		}
	})
}

// SignedOut implements room.Directory.
func (n *LateNode) SignedOut(v room.Visitor) {
	n.b.add(UsersSteps, func(*lateRoom) {
		n.b.mu.Lock()
		defer n.b.mu.Unlock()
		n.users = slices.DeleteFunc(n.users, func(u room.Visitor) bool { return u == v })
	})
}

// SendUser implements room.Directory.
func (n *LateNode) SendUser(user string, f room.Frames) {
	n.tell(user, func(other room.Node) { other.SendUser(user, f) })
}

// CloseUser implements room.Directory.
func (n *LateNode) CloseUser(user string, code frame.CloseCode, reason string) {
	n.tell(user, func(other room.Node) { other.CloseUser(user, code, reason) })
}

// tell makes a step that calls f for the other nodes on which the user is.
func (n *LateNode) tell(user string, f func(room.Node)) {
	n.b.add(UsersSteps, func(*lateRoom) {
		if n.b.fate(UsersSteps, Relay) != Answer {
			return
		}
		for _, o := range n.others(user) {
			f(o.local)
		}
	})
}

// others returns the other nodes on which a user is.
func (n *LateNode) others(user string) (all []*LateNode) {
	n.b.mu.Lock()
	defer n.b.mu.Unlock()
	for _, o := range n.b.all {
		if o != n && slices.ContainsFunc(o.users, func(v room.Visitor) bool { return v.ID == user }) {
			all = append(all, o)
		}
	}
	return all
}

// Connections implements room.Directory.
func (n *LateNode) Connections(user string, answer func([]string, error)) {
	n.b.add(UsersSteps, func(*lateRoom) {
		var names []string
		n.b.asked(UsersSteps, Connections, func() error {
			for _, o := range n.others(user) {
				names = append(names, o.local.Connections(user)...)
			}
			return nil
		}, func(err error) { answer(names, err) })
	})
}

// Expire ends the lease of the node, as after a crash: its members and users have gone. Until Renew its calls fail.
func (n *LateNode) Expire() {
	n.b.mu.Lock()
	defer n.b.mu.Unlock()
	n.expired, n.users = true, nil
	for id := range n.b.rooms {
		n.b.addLocked(id, func(r *lateRoom) { r.expire(n) })
	}
}

// Renew gives the node another lease.
func (n *LateNode) Renew() {
	n.b.mu.Lock()
	defer n.b.mu.Unlock()
	for id := range n.b.rooms {
		n.b.addLocked(id, func(r *lateRoom) { r.renew(n) })
	}
	n.b.addLocked(UsersSteps, func(*lateRoom) {
		n.b.mu.Lock()
		n.expired = false
		n.b.mu.Unlock()
		if n.local != nil {
			n.local.Forgotten()
		}
	})
}
