package pool_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/pool"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// job is a function as a Job.
type job func()

func (j job) Run()         { j() }
func (j job) Lane() uint32 { return 0 }

// submit returns how many jobs w has taken.
func submit(w *pool.Workers, jobs ...pool.Job) int {
	return len(jobs) - len(w.Submit(slices.Clone(jobs)))
}

// workers are closed when the test ends.
func workers(t *testing.T, n, queue int) *pool.Workers {
	w := pool.NewWorkers(n, queue)
	t.Cleanup(w.Close)
	return w
}

// TestBounded: n jobs run, queue jobs wait, no more are taken.
func TestBounded(t *testing.T) {
	const n, queue = 3, 5
	w := workers(t, n, queue)
	started, finish := make(chan bool), make(chan bool)
	block := job(func() { started <- true; <-finish })
	if got := submit(w, block, block, block); got != n {
		t.Fatalf("took %d of %d", got, n)
	}
	for range n {
		wstest.Receive(t, "a job to begin", started)
	}
	many := make([]pool.Job, 8)
	for i := range many {
		many[i] = block
	}
	if got := submit(w, many...); got != queue {
		t.Errorf("took %d, want %d: the queue is bounded", got, queue)
	}
	if got := submit(w, many...); got != 0 {
		t.Errorf("took %d more", got)
	}
	if w.Queued() != queue || w.Busy() != n {
		t.Errorf("%d queued, %d busy, want %d and %d", w.Queued(), w.Busy(), queue, n)
	}
	for range queue {
		finish <- true
		wstest.Receive(t, "the next job to begin", started)
	}
	for range n {
		finish <- true
	}
	wstest.Eventually(t, "all have run", func() bool { return w.Busy() == 0 && w.Queued() == 0 })
}

// TestOrder: one worker runs jobs in the order of submission, around the ring
// many times.
func TestOrder(t *testing.T) {
	w := workers(t, 1, 7)
	var got []int
	next, done := 0, make(chan bool)
	for next < 1000 {
		var batch []pool.Job
		for i := range 1 + next%6 {
			n := next + i
			batch = append(batch, job(func() { got = append(got, n) }))
		}
		took := submit(w, batch...)
		next += took
		if took < len(batch) {
			room := make(chan bool)
			w.Notify(0, func() { close(room) })
			<-room
		}
	}
	for submit(w, job(func() { close(done) })) == 0 {
		room := make(chan bool)
		w.Notify(0, func() { close(room) })
		<-room
	}
	<-done
	if len(got) != next || !slices.IsSorted(got) {
		t.Errorf("%d jobs ran, want %d, in order: %v", len(got), next, slices.IsSorted(got))
	}
}

// TestNotify: at once if there is room, else when there is, and once.
func TestNotify(t *testing.T) {
	w := workers(t, 1, 1)
	var told atomic.Int32
	w.Notify(0, func() { told.Add(1) })
	if told.Load() != 1 {
		t.Fatal("not told of room that there is")
	}
	started, finish := make(chan bool), make(chan bool)
	block := job(func() { started <- true; <-finish })
	w.Submit([]pool.Job{block})
	wstest.Receive(t, "the job to begin", started)
	w.Submit([]pool.Job{block})
	w.Notify(0, func() { told.Add(1) })
	w.Notify(0, func() { told.Add(1) })
	if told.Load() != 1 {
		t.Fatal("told of room that there is not")
	}
	finish <- true
	wstest.Receive(t, "the second job to begin", started)
	wstest.Eventually(t, "both are told", func() bool { return told.Load() == 3 })
	finish <- true
	for range 20 {
		run := make(chan bool, 1)
		w.Submit([]pool.Job{job(func() { run <- true })})
		wstest.Receive(t, "a job", run)
	}
	if told.Load() != 3 {
		t.Errorf("told %d times", told.Load())
	}
}

// TestFreeWorker: jobs that block hold up nobody while one worker is free.
func TestFreeWorker(t *testing.T) {
	w := workers(t, 4, 100)
	finish := make(chan bool)
	for range 3 {
		w.Submit([]pool.Job{job(func() { <-finish })})
	}
	run := make(chan bool)
	for range 50 {
		w.Submit([]pool.Job{job(func() { run <- true })})
		wstest.Receive(t, "a job behind blocked ones", run)
	}
	close(finish)
}

// TestClose lets what is queued run, takes no more, and waits.
func TestClose(t *testing.T) {
	w := pool.NewWorkers(2, 100)
	var ran atomic.Int32
	begin := make(chan bool)
	for range 50 {
		w.Submit([]pool.Job{job(func() { <-begin; ran.Add(1) })})
	}
	closed := make(chan bool, 1)
	go func() { w.Close(); closed <- true }()
	wstest.Eventually(t, "nothing is taken any more", func() bool { return submit(w, job(func() { ran.Add(1000) })) == 0 })
	if len(closed) != 0 {
		t.Error("Close does not wait")
	}
	told := false
	w.Notify(0, func() { told = true })
	close(begin)
	wstest.Receive(t, "Close", closed)
	if n := ran.Load() % 1000; n != 50 || !told {
		t.Errorf("%d of 50 queued jobs ran; told: %v", n, told)
	}
}

// TestSubmitters: from many goroutines, every job runs once.
func TestSubmitters(t *testing.T) {
	w := workers(t, 3, 16)
	var ran atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				for submit(w, job(func() { ran.Add(1) })) == 0 {
					room := make(chan bool)
					w.Notify(0, func() { close(room) })
					<-room
				}
			}
		})
	}
	all.Wait()
	wstest.Eventually(t, "all have run", func() bool { return ran.Load() == 1600 })
}

// TestBuffers: a buffer comes back empty, and in race builds what it held is
// overwritten.
func TestBuffers(t *testing.T) {
	var p pool.Buffers
	b := p.Get()
	if len(b.B) != 0 {
		t.Fatalf("a fresh buffer has %d bytes", len(b.B))
	}
	b.B = append(b.B, "secret"...)
	stale := b.B
	p.Put(b)
	if raceEnabled && string(stale) == "secret" {
		t.Error("a buffer that was put back is as it was: use after Put goes unseen")
	}
	if again := p.Get(); len(again.B) != 0 {
		t.Errorf("a reused buffer has %d bytes", len(again.B))
	}
	q := []byte("abc")
	if pool.Poison(q[:2]); q[0] == 'a' || q[1] == 'b' || q[2] != 'c' {
		t.Errorf("poisoned: %q", q)
	}
}
