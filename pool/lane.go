package pool

// lane is the queue of one lane's jobs.
type lane struct {
	ring    []Job // jobs from head on
	head    int
	queued  int
	running int
	waiter  []func() // told once when there is room again
}

// push queues j; it reports false if the lane has bound jobs already.
func (q *lane) push(j Job, bound int) bool {
	if q.queued == bound {
		return false
	}
	if q.queued == len(q.ring) {
		ring := make([]Job, min(max(2*len(q.ring), 16), bound))
		n := copy(ring, q.ring[q.head:])
		copy(ring[n:], q.ring[:q.head])
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.queued)%len(q.ring)] = j
	q.queued++
	return true
}

// pop takes the oldest job.
func (q *lane) pop() Job {
	j := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) % len(q.ring)
	q.queued--
	return j
}
