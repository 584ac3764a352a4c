package room

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// fault plants one fault in the functions of a Config: in the nth call of one of them.
type fault struct {
	hook  string
	nth   int
	do    func()
	calls int
	spent bool
	told  []string
}

func (f *fault) in(hook string) {
	if hook != f.hook || f.spent {
		return
	}
	if f.calls++; f.calls == f.nth {
		f.spent = true
		f.do()
	}
}

// faultyBroker is Memory with a fault in its functions.
type faultyBroker struct {
	*Memory
	f *fault
}

type faultyTopic struct {
	Topic
	f *fault
}

func (b faultyBroker) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.f.in("Broker.Open")
	b.Memory.Open(room, create, s, func(t Topic, at Opening, err error) { opened(faultyTopic{t, b.f}, at, err) })
}

func (t faultyTopic) Publish(p Publication) {
	t.f.in("Topic.Publish before")
	t.Topic.Publish(p)
	t.f.in("Topic.Publish after")
}

func (t faultyTopic) Close(how Ending, reason string) {
	t.Topic.Close(how, reason)
	t.f.in("Topic.Close")
}

// victim runs a function on a goroutine that a fault may end. A panic of the function does not end the test.
func victim(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recover() }()
		f()
	}()
	<-done
}

// A function of the application may fail in any way and at any call. Afterwards the data of rooms agrees, no member
// is left behind, locks are free, the other members get every message in order, and every publisher is told once.
func TestFaults(t *testing.T) {
	hooks := []string{"Encode", "Translate", "Announce", "Offline", "Looks", "Now", "Taken", "done", "Broker.Open", "Topic.Publish before", "Topic.Publish after", "Topic.Close"}
	for name, do := range map[string]func(){
		"panic": func() { panic("planted") }, "Goexit": runtime.Goexit, "panic(nil)": func() { panic(nil) },
	} {
		for _, hook := range hooks {
			t.Run(name+" in "+hook, func(t *testing.T) {
				for nth := 1; ; nth++ {
					f := &fault{hook: hook, nth: nth, do: do}
					faultyLife(t, f)
					if t.Failed() {
						t.Fatalf("in call %d", nth)
					}
					if !f.spent {
						if nth == 1 {
							t.Error("it is never called")
						}
						return
					}
				}
			})
		}
	}
}

// faultyLife does a little of everything, with f planted.
func faultyLife(t *testing.T, f *fault) {
	w := newWorld(t, 2, Config{
		PresenceEach: 2, Broker: faultyBroker{NewMemory(), f},
		Encode: func(dst []byte, _ string, _ uint64, p []byte) []byte {
			f.in("Encode")
			return append(dst, p...)
		},
		Translate: func(dst []byte, _ Dialect, _ string, m []byte) []byte {
			f.in("Translate")
			return append(dst, m...)
		},
		Announce: func(e Event) Frames { f.in("Announce"); return text(fmt.Sprint("event ", e.Kind)) },
		Offline:  func(*User) { f.in("Offline") },
		Looks:    func(s string) []string { f.in("Looks"); return []string{s} },
		Panicked: func(function string, _ any) { f.told = append(f.told, function) },
	})
	now := w.cfg.Now
	w.cfg.Now = nil
	c := Config{Now: func() time.Time { f.in("Now"); return now() }, Clock: w.cfg.Clock, Panicked: w.cfg.Panicked}
	c.guard()
	w.cfg.Now = c.Now

	var r, other *Room
	create := func(id string) (r *Room) {
		for r == nil { // a fault happens only once
			victim(func() { r, _ = w.Create(id, Options{TTL: time.Minute}) })
			if r == nil {
				r = w.Room(id)
			}
		}
		return r
	}
	r, other = create("r"), create("other")
	run := func() {
		for w.posts() >= 0 {
			over := false
			victim(func() { w.run(); over = true })
			if over {
				return
			}
		}
	}
	watcher := w.connect(0) // a member from the beginning to the end
	watcher.join(r)
	told := make(map[string]int)
	said := 0
	publish := func() {
		said++
		text := fmt.Sprint("message ", said)
		victim(func() {
			r.Publish(Message{Payload: []byte(text), Taken: func(int) { f.in("Taken") }}, func(Receipt, error) { told[text]++; f.in("done") })
		})
		run()
	}
	var conns []*conn
	for i, user := range []string{"ada", "bob", "ada", "cy", "di"} {
		c := w.connect(i % 2)
		conns = append(conns, c)
		c.signIn(user, Dialect(i%2))
		victim(func() { c.tryJoin(r, JoinOptions{Since: &Position{r.Position().Epoch, 0}}) })
		run()
		publish()
		victim(func() { c.tryJoin(other, JoinOptions{}) })
		run()
	}
	w.now = w.now.Add(time.Second)
	victim(w.Sweep)
	victim(w.Sweep)
	run()
	publish()
	for i, c := range conns {
		if i == 0 && c.in(r) {
			victim(func() { c.l.shards.Leave(c.Slot, r) })
		}
		victim(func() { c.l.shards.LeaveAll(c.Slot) })
		c.l.conns[c.Slot] = nil
		run()
		publish()
	}
	w.now = w.now.Add(time.Hour)
	victim(w.Sweep)
	victim(w.Sweep)
	run()
	publish()
	w.audit()
	for text, n := range told {
		if n != 1 {
			t.Errorf("%s was settled %d times", text, n)
		}
	}
	if len(told) != said {
		t.Errorf("%d of %d publishes were settled", len(told), said)
	}
	var got []string
	for _, s := range watcher.got {
		if strings.HasPrefix(s, "message ") {
			got = append(got, s)
		}
	}
	if want := said; len(got) != want && !(len(got) == want-1 && f.hook == "Topic.Publish before") {
		t.Errorf("the watcher got %d of %d messages: %q", len(got), want, got)
	}
	if at := r.Position(); at.Offset != uint64(len(got)) || r.history.len() != len(got) {
		t.Errorf("the room is at %v with a history of %d, %d were delivered", at, r.history.len(), len(got))
	}
	if n := w.Stats().Users; n != 0 || r.Count() != 1 {
		t.Errorf("%d users are left, the room counts %d", n, r.Count())
	}
	if f.hook == "Now" { // Now failed, so the time was that of Clock
		victim(func() { w.Delete(other, "") })
	}
	if !other.Closed() || w.Room("other") != nil {
		t.Errorf("the empty room is still there: closed %v", other.Closed())
	}
	victim(func() { w.Delete(r, "over") })
	run()
	if !r.Closed() || w.Room("r") != nil || watcher.in(r) {
		t.Errorf("the deleted room is still there: closed %v, listed %v, joined %v", r.Closed(), w.Room("r") != nil, watcher.in(r))
	}
	w.audit()
	if f.spent && len(f.told) == 0 && !strings.HasPrefix(f.hook, "Broker.Open") && f.hook != "Topic.Close" {
		t.Errorf("the fault in %s was not reported", f.hook)
	}
}

// The hub looks at its rooms again after a fault in a look, but not after its end.
func TestFaultOfTheHub(t *testing.T) {
	for name, do := range map[string]func(){"panic": func() { panic("planted") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			f := &fault{hook: "Topic.Close", nth: 1, do: do}
			h := New(Config{Broker: faultyBroker{NewMemory(), f}})
			h.Attach([]Loop{}, nil)
			for _, id := range []string{"first", "second"} { // the fault is in the look that ends the first room
				r, err := h.Create(id, Options{TTL: 1})
				if err != nil {
					t.Fatal(err)
				}
				wstest.Eventually(t, "a look ends the room "+id, func() bool { return r.Closed() && h.Room(id) == nil })
			}
			h.Close()
			if !f.spent {
				t.Error("there was no fault")
			}
			if h.stop() {
				t.Error("another look was due")
			}
		})
	}
}
