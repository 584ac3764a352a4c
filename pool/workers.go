package pool

import (
	"sync"
	"sync/atomic"
)

// Job is work that may block.
type Job interface {
	// Run does it, on one of the pool's goroutines. It must not panic; it may call
	// runtime.Goexit.
	Run()
}

// Workers is a fixed number of goroutines that run jobs from one bounded
// queue. Any free worker takes the next job: a job that blocks holds up nobody
// while another worker is free. Submit and Notify never block, so that event
// loops may call them.
type Workers struct {
	mu     sync.Mutex
	filled sync.Cond
	queue  []Job // a ring: queued jobs from head on
	head   int
	queued int
	waiter []func() // told once when there is room again
	closed bool
	done   sync.WaitGroup
	busy   atomic.Int64
}

// NewWorkers starts n goroutines behind a queue of the given length.
func NewWorkers(n, queue int) *Workers {
	w := &Workers{queue: make([]Job, queue)}
	w.filled.L = &w.mu
	w.done.Add(n)
	for range n {
		go w.work()
	}
	return w
}

// Submit queues jobs in order and returns how many it took: fewer than given
// if the queue is full, none after Close.
func (w *Workers) Submit(jobs []Job) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0
	}
	n := min(len(jobs), len(w.queue)-w.queued)
	for _, j := range jobs[:n] {
		w.queue[(w.head+w.queued)%len(w.queue)] = j
		w.queued++
		w.filled.Signal()
	}
	return n
}

// Notify calls f once, from a worker, when the queue has room again: at once
// if it has room now. f must not block.
func (w *Workers) Notify(f func()) {
	w.mu.Lock()
	if w.queued < len(w.queue) || w.closed {
		w.mu.Unlock()
		f()
		return
	}
	w.waiter = append(w.waiter, f)
	w.mu.Unlock()
}

// Queued is the number of jobs that wait, Busy of those that run.
func (w *Workers) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued
}

// Busy is the number of jobs that run now.
func (w *Workers) Busy() int { return int(w.busy.Load()) }

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
	running, returned := false, false
	defer func() {
		switch p := recover(); {
		case p != nil:
			panic(p) // a job must not
		case returned:
			w.done.Done()
		default: // a job has called runtime.Goexit: another goroutine takes this one's place
			if running {
				w.busy.Add(-1)
			}
			go w.work()
		}
	}()
	for {
		w.mu.Lock()
		for w.queued == 0 && !w.closed {
			w.filled.Wait()
		}
		if w.queued == 0 {
			w.mu.Unlock()
			returned = true
			return
		}
		j := w.queue[w.head]
		w.queue[w.head] = nil
		w.head = (w.head + 1) % len(w.queue)
		w.queued--
		waiter := w.waiter
		w.waiter = nil
		w.mu.Unlock()
		for _, f := range waiter {
			f()
		}
		w.busy.Add(1)
		running = true
		j.Run()
		running = false
		w.busy.Add(-1)
	}
}
