package spawn

import (
	"runtime"
	"testing"
)

func TestCounts(t *testing.T) {
	var s Spawner
	hold := make(chan struct{})
	for range 3 {
		s.Go(Worker, func() { <-hold })
	}
	s.Go(Log, func() { runtime.Goexit() })
	<-s.Gone(Log)
	gone := s.Gone(Worker)
	select {
	case <-gone:
		t.Fatal("gone, while three live")
	default:
	}
	if s.Live(Worker) != 3 || s.Live(Log) != 0 {
		t.Errorf("%d workers, %d for the log", s.Live(Worker), s.Live(Log))
	}
	close(hold)
	<-gone
	<-s.Gone(Worker)
	if s.Live(Worker) != 0 {
		t.Errorf("%d live on", s.Live(Worker))
	}
}

// TestStart: a simulation keeps the functions, and runs them when it likes.
func TestStart(t *testing.T) {
	var queue []func()
	s := Spawner{Start: func(k Kind, f func()) {
		if k != Dial {
			t.Errorf("%v, want %v", k, Dial)
		}
		queue = append(queue, f)
	}}
	ran := false
	s.Go(Dial, func() { ran = true })
	if ran || s.Live(Dial) != 1 {
		t.Error("it has run already, or does not count")
	}
	queue[0]()
	if !ran || s.Live(Dial) != 0 {
		t.Error("it has not run, or counts on")
	}
}

func TestKinds(t *testing.T) {
	met := make(map[string]bool)
	for k := range Kinds {
		if s := k.String(); s == "" || met[s] {
			t.Errorf("kind %d is %q, as another is", k, s)
		} else {
			met[s] = true
		}
	}
	if Kinds.String() != "none" {
		t.Error("a name for what is no kind")
	}
}
