package pool

import "sync"

// Job is work that may block.
type Job interface {
	// Run does it, on one of the pool's goroutines. It must not panic; it may call
	// runtime.Goexit.
	Run()

	// Lane is the number of the queue in which it waits: a small one, since the pool
	// keeps all numbers up to the highest.
	Lane() uint32
}

// Workers is a fixed number of goroutines that run jobs from bounded queues, one
// for each lane. A free worker takes the next job of the lane whose turn it is.
// No lane holds all workers while others may need one: a lane that runs a job
// already leaves a worker free for each lane that runs none, of up to half of the
// workers. So jobs that block hold up their own lane alone, unless there is
// one worker only, or more lanes block than half of the workers. Submit and Notify
// never block, so that event loops may call them.
type Workers struct {
	// Immutable.
	size, bound int            // workers, and jobs that each lane's queue takes
	start       func(f func()) // starts a goroutine

	mu      sync.Mutex
	filled  sync.Cond
	lanes   []*lane // by number; nil: not open
	active  []*lane // those with queued jobs, in the order of their turns
	idle    int     // open lanes that run nothing
	queued  int     // in all lanes
	running int     // in all lanes
	closed  bool
	done    sync.WaitGroup
}

// NewWorkers starts n goroutines; each lane's queue takes the given number of jobs.
func NewWorkers(n, queue int) *Workers {
	return NewWorkersBy(func(f func()) { go f() }, n, queue)
}

// NewWorkersBy is NewWorkers with goroutines that start starts: each runs f, once.
func NewWorkersBy(start func(f func()), n, queue int) *Workers {
	w := &Workers{size: n, bound: queue, start: start}
	w.filled.L = &w.mu
	w.done.Add(n)
	for range n {
		start(w.work)
	}
	return w
}

// Open says that jobs for a lane may come, so that a worker is kept for it. The
// first Submit opens a lane too.
func (w *Workers) Open(number uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open(number)
}

func (w *Workers) open(number uint32) *lane {
	for int(number) >= len(w.lanes) {
		w.lanes = append(w.lanes, nil)
	}
	if w.lanes[number] == nil {
		w.lanes[number] = new(lane)
		w.idle++
	}
	return w.lanes[number]
}

// Submit queues jobs, each lane's in order, and returns those that it has not
// taken, in order and in the same memory: those of a lane whose queue is full; all
// of them after Close.
func (w *Workers) Submit(jobs []Job) (refused []Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return jobs
	}
	refused = jobs[:0]
	for _, j := range jobs {
		q := w.open(j.Lane())
		if !q.push(j, w.bound) {
			refused = append(refused, j)
			continue
		}
		w.queued++
		if q.queued == 1 {
			w.active = append(w.active, q)
		}
		if w.mayRun(q) {
			w.filled.Signal()
		}
	}
	return refused
}

// mayRun reports whether a worker may take a job of q now. A job that may not
// be taken now becomes possible only when another one ends: the worker that ran
// that one looks again.
func (w *Workers) mayRun(q *lane) bool {
	free := w.size - w.running
	return free > 0 && (q.running == 0 || w.closed || free > min(w.idle, w.size/2))
}

// take is the next job, and what waits for the room that it leaves; nil: there is
// none that may run.
func (w *Workers) take() (j Job, q *lane, waiter []func()) {
	for i, q := range w.active {
		if !w.mayRun(q) {
			continue
		}
		j = q.pop()
		copy(w.active[i:], w.active[i+1:])
		if w.active[len(w.active)-1] = q; q.queued == 0 {
			w.active[len(w.active)-1] = nil
			w.active = w.active[:len(w.active)-1]
		}
		if q.running == 0 {
			w.idle--
		}
		q.running++
		w.running++
		w.queued--
		waiter, q.waiter = q.waiter, nil
		return j, q, waiter
	}
	return nil, nil, nil
}

// ended counts a job of q that has run.
func (w *Workers) ended(q *lane) {
	w.running--
	if q.running--; q.running == 0 {
		w.idle++
	}
}

// Notify calls f once, from a worker, when the lane's queue has room again: at
// once if it has room now. f must not block.
func (w *Workers) Notify(number uint32, f func()) {
	w.mu.Lock()
	if q := w.open(number); q.queued == w.bound && !w.closed {
		q.waiter = append(q.waiter, f)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	f()
}

// Queued is the number of jobs that wait, in all lanes.
func (w *Workers) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued
}

// Busy is the number of jobs that run now.
func (w *Workers) Busy() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// Close takes no more jobs, lets the queued ones run, and waits for all of
// them: for as long as their handlers take.
func (w *Workers) Close() {
	w.mu.Lock()
	w.closed = true
	w.filled.Broadcast()
	w.mu.Unlock()
	w.done.Wait()
}

func (w *Workers) work() {
	var running *lane
	returned := false
	defer func() {
		switch p := recover(); {
		case p != nil:
			panic(p) // a job must not
		case returned:
			w.done.Done()
		default: // a job has called runtime.Goexit: another goroutine takes this one's place
			if running != nil {
				w.mu.Lock()
				w.ended(running)
				w.mu.Unlock()
			}
			w.start(w.work)
		}
	}()
	for {
		w.mu.Lock()
		if running != nil {
			w.ended(running)
			running = nil
		}
		j, q, waiter := w.take()
		for j == nil {
			if w.closed && w.queued == 0 {
				w.mu.Unlock()
				returned = true
				return
			}
			w.filled.Wait()
			j, q, waiter = w.take()
		}
		running = q
		w.mu.Unlock()
		for _, f := range waiter {
			f()
		}
		j.Run()
	}
}
