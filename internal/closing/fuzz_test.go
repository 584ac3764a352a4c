package closing

import "testing"

// walk plays a script of events and facts on the table, from a connection that begins, and checks
// what must hold on every way.
type walk struct {
	t        *testing.T
	at       State
	closes   int // close frames queued
	finished bool
	last     bool // the last word in HTTP is said
	reaped   int
}

// step is what the loop does with an event, without the loop.
func (w *walk) step(e Event, f Facts) {
	to, do := Next(w.at, e, f)
	if again, same := Next(w.at, e, f); again != to || same != do {
		w.t.Fatalf("%v, %v: twice asked, two answers", w.at, e)
	}
	if do&Illegal != 0 {
		if w.at.Ended() && to != w.at {
			w.t.Fatalf("%v, %v: leads out of an end", w.at, e)
		}
		return // the loop would not send it
	}
	if do&(QueueClose|QueueReply) != 0 {
		if w.closes++; w.closes > 1 || w.last {
			w.t.Fatalf("%v, %v: a second close frame, or one behind an answer in HTTP", w.at, e)
		}
		if w.at != Open {
			w.t.Fatalf("%v, %v: a close frame of a connection that is not open", w.at, e)
		}
	}
	if do&(Refuse|SendLast|TellRefusal) != 0 {
		if w.last && do&Refuse != 0 {
			w.t.Fatalf("%v, %v: a second answer", w.at, e)
		}
		w.last = true
	}
	if w.finished && do&^(Reset|Reap) != 0 {
		w.t.Fatalf("%v, %v: %s behind FIN", w.at, e, named(do, actionNames[:]))
	}
	if do&ShutdownWrite != 0 {
		w.finished = true
	}
	if do&Reap != 0 {
		w.reaped++
	}
	if w.at == Closed && to != Closed && to != Free || to == Free && e != Reaped && w.at != Free {
		w.t.Fatalf("%v, %v: to %v", w.at, e, to)
	}
	if to.Opening() && !w.at.Opening() && w.at != Free {
		w.t.Fatalf("%v, %v: back to %v", w.at, e, to)
	}
	w.at = to
}

// FuzzNext plays random scripts on the table. The end to end fuzzer of the same is FuzzClose, at the root.
func FuzzNext(f *testing.F) {
	f.Add([]byte{byte(Accepted), 0, byte(Opened), 0, byte(CloseReceived), 0, byte(OutputSent), 0})
	f.Add([]byte{byte(Accepted), byte(TLS), byte(Secured), 0, byte(Opened), 0, byte(CloseCalled), byte(Held), byte(CloseReceived), 0, byte(OutputSent), byte(NotifyDue)})
	f.Add([]byte{byte(ProxyAccepted), 0, byte(ProxyRead), 0, byte(Refused), 0, byte(OutputSent), 0, byte(InputDiscarded), 0})
	f.Add([]byte{byte(Dialled), byte(Client), byte(Connected), byte(Client), byte(Opened), byte(Client), byte(Fault), byte(Client), byte(Timeout), byte(Client)})
	f.Add([]byte{byte(TakenOver), 0, byte(Opened), 0, byte(SlowConsumer), byte(OutputLeft), byte(Aborted), 0, byte(Reaped), 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		w := &walk{t: t}
		for i := 0; i+1 < len(script) && w.reaped == 0; i += 2 {
			w.step(Event(script[i]%byte(Events)), Facts(script[i+1]))
		}
		if w.at == Free { // nothing has begun
			return
		}
		for n := 0; w.at != Closed; n++ {
			if n > 3 {
				t.Fatalf("still %v", w.at)
			}
			w.step(Timeout, 0)
		}
		if w.reaped != 1 {
			t.Fatalf("reaped %d times", w.reaped)
		}
		if w.step(Reaped, 0); w.at != Free {
			t.Fatalf("reaped, and %v", w.at)
		}
	})
}
