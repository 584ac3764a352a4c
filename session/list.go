package session

// A record that is not attached is in two lists, each with the one first that was untouched for longest. In the list
// of its kind sessions expire; in the list of its payer they are dropped to make room.
const (
	ofKind = iota
	ofPayer
)

// link is a record's place in a list.
type link struct {
	prev, next *record
}

// list is a queue from which any record can be removed. Its methods are told which of the two lists it is.
type list struct {
	head, tail *record
}

func (l *list) push(r *record, which int) {
	r.links[which] = link{prev: l.tail}
	if l.tail == nil {
		l.head = r
	} else {
		l.tail.links[which].next = r
	}
	l.tail = r
}

func (l *list) remove(r *record, which int) {
	at := r.links[which]
	if at.prev == nil {
		l.head = at.next
	} else {
		at.prev.links[which].next = at.next
	}
	if at.next == nil {
		l.tail = at.prev
	} else {
		at.next.links[which].prev = at.prev
	}
	r.links[which] = link{}
}

// list adds a record to the lists of detached ones, as the youngest.
func (m *Memory) list(r *record) {
	m.detached[r.kind].push(r, ofKind)
	if r.payer != nil {
		r.payer.detached.push(r, ofPayer)
	}
}

func (m *Memory) unlist(r *record) {
	m.detached[r.kind].remove(r, ofKind)
	if r.payer != nil {
		r.payer.detached.remove(r, ofPayer)
	}
}

// detach lists a record that no connection holds, and counts it.
func (m *Memory) detach(r *record) {
	m.list(r)
	m.charge(r, r.cost())
}

func (m *Memory) undetach(r *record) {
	m.charge(r, -r.cost())
	m.unlist(r)
}
