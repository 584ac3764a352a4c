package pool_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/pool"
)

// laneJob is a function as a Job of some lane.
type laneJob struct {
	job
	lane uint32
}

func (j laneJob) Lane() uint32 { return j.lane }

// TestBlockedLane: a lane whose jobs all block, more than there are workers and more
// than its queue takes, holds up neither the jobs nor the queues of the others.
func TestBlockedLane(t *testing.T) {
	for _, c := range []struct{ workers, lanes, want int }{{2, 2, 1}, {3, 2, 2}, {4, 3, 2}, {8, 3, 6}, {4, 9, 2}} {
		t.Run(fmt.Sprintf("%d workers, %d lanes", c.workers, c.lanes), func(t *testing.T) {
			const queue = 4
			w := workers(t, c.workers, queue)
			for i := range c.lanes {
				w.Open(uint32(i))
			}
			started, finish := make(chan bool, 100), make(chan bool)
			defer close(finish)
			block := laneJob{func() { started <- true; <-finish }, 0}
			for range c.want {
				if got := submit(w, block); got != 1 {
					t.Fatal("a free worker's job is refused")
				}
				wstest.Receive(t, "a job to block", started)
			}
			many := make([]pool.Job, 2*queue)
			for i := range many {
				many[i] = block
			}
			if got := submit(w, many...); got != queue {
				t.Fatalf("the blocked lane's queue took %d, want %d", got, queue)
			}
			for round := range 50 {
				for i := 1; i < c.lanes; i++ {
					ran := make(chan bool, 1)
					if got := submit(w, block, laneJob{func() { ran <- true }, uint32(i)}); got != 1 {
						t.Fatalf("round %d: %d of a full and an empty lane's jobs are taken, want 1", round, got)
					}
					wstest.Receive(t, "the job of another lane", ran)
				}
			}
			if len(started) != 0 {
				t.Errorf("%d jobs of the blocked lane more have begun", len(started))
			}
		})
	}
}

// TestTwoBlockedLanes: up to half of the workers are kept, so a third lane goes on.
func TestTwoBlockedLanes(t *testing.T) {
	w := workers(t, 4, 100)
	for i := range uint32(3) {
		w.Open(i)
	}
	finish, ran := make(chan bool), make(chan bool)
	defer close(finish)
	for range 10 {
		submit(w, laneJob{func() { <-finish }, 0}, laneJob{func() { <-finish }, 1})
	}
	for range 20 {
		submit(w, laneJob{func() { ran <- true }, 2})
		wstest.Receive(t, "the third lane", ran)
	}
}

// TestOneWorker takes the lanes in turns, each one's jobs in order, whatever the
// jobs do, and Close lets all of them run.
func TestOneWorker(t *testing.T) {
	w := pool.NewWorkers(1, 100)
	started, begin := make(chan bool), make(chan bool)
	submit(w, job(func() { started <- true; <-begin; runtime.Goexit() }))
	wstest.Receive(t, "the first job", started)
	var got []string
	for lane := range uint32(3) {
		for i := range 3 {
			submit(w, laneJob{func() {
				got = append(got, fmt.Sprint(lane, i))
				if i == 1 {
					runtime.Goexit()
				}
			}, lane})
		}
	}
	close(begin)
	w.Close()
	want := []string{"0 0", "1 0", "2 0", "0 1", "1 1", "2 1", "0 2", "1 2", "2 2"}
	if !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
	if w.Busy() != 0 || w.Queued() != 0 {
		t.Errorf("%d busy, %d queued after Close", w.Busy(), w.Queued())
	}
}

// TestNotifyLane: room in one lane's queue is no room in another's.
func TestNotifyLane(t *testing.T) {
	w := workers(t, 2, 1)
	w.Open(1)
	started, finish := make(chan bool), make(chan bool)
	block := laneJob{func() { started <- true; <-finish }, 0}
	submit(w, block)
	wstest.Receive(t, "the job to block", started)
	submit(w, block)
	room, other := make(chan bool, 1), make(chan bool, 1)
	w.Notify(0, func() { room <- true })
	w.Notify(1, func() { other <- true })
	if len(room) != 0 || len(other) != 1 {
		t.Fatalf("told %d of the full lane and %d of the empty one, want 0 and 1", len(room), len(other))
	}
	finish <- true
	wstest.Receive(t, "the lane's second job", started)
	wstest.Receive(t, "room in the lane", room)
	finish <- true
}

// BenchmarkSubmit is one tick's hand-over of 16 jobs.
func BenchmarkSubmit(b *testing.B) {
	for _, lanes := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d lanes", lanes), func(b *testing.B) {
			w := pool.NewWorkers(4, 256)
			defer w.Close()
			jobs := make([]pool.Job, 16)
			room := make(chan bool, 1)
			b.ReportAllocs()
			for b.Loop() {
				for i := range jobs {
					jobs[i] = laneJob{func() {}, uint32(i % lanes)}
				}
				for left := w.Submit(jobs); len(left) > 0; left = w.Submit(left) {
					w.Notify(left[0].Lane(), func() { room <- true })
					<-room
				}
			}
		})
	}
}
