package bench

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

const plain = "m={seq},{ts} {pad}"

// fan is a handler that sends what it gets to everyone else; to decides what
// becomes of message n for the i-th of them. nil: it is sent.
func fan(to func(i, n int, c perch.Ref, p []byte)) perch.Handler {
	var all []perch.Ref
	n := -1
	return perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { all = append(all, c.Ref()) },
		OnMessage: func(sender perch.Conn, _ perch.Opcode, p []byte) {
			n++
			i := 0
			for _, c := range all {
				switch {
				case c == sender.Ref():
					continue
				case to == nil:
					c.Send(perch.Text, p)
				default:
					to(i, n, c, p)
				}
				i++
			}
		},
	}
}

func TestFanout(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Fanout
		wrap string // of the server's messages, with %
	}{
		{"one", Fanout{Pubs: 1, Size: 100, Template: plain, Exact: true}, "%"},
		{"publishers", Fanout{Pubs: 5, Size: 100, Template: plain, Exact: true}, "%"},
		{"wrapped", Fanout{Pubs: 3, Size: 300, Template: `{"text":"m={seq};{ts} {pad}"}`}, `{"n":"m=1","event":%}`},
		{"no padding", Fanout{Pubs: 1, Size: 0, Template: "m={seq},{ts}", Exact: true}, "%"},
		{"rate", Fanout{Pubs: 2, Size: 100, Template: plain, Rate: 500}, "%"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Target = target(t, serve(t, fan(func(_, _ int, c perch.Ref, p []byte) {
				c.Send(perch.Text, []byte(strings.Replace(tt.wrap, "%", string(p), 1)))
			})), 10)
			tt.o.Loops = 2
			res := runUntil(t, func(d time.Duration) *Result { tt.o.Time = d; return runOf(t, tt.o) }, func(r *Result) bool { return r.Second.Count > 0 })
			expectFaults(t, res)
			if res.Opened != 10 || res.Count == 0 || res.Sent == 0 || res.Second.Count == 0 || res.Second.Max < res.Latency.P50 {
				t.Errorf("result %+v, %+v, last %+v", res, res.Latency, res.Second)
			}
			if tt.o.Rate > 0 && (res.Count+20)/10+res.Unsent < uint64(res.Seconds*tt.o.Rate) {
				t.Errorf("%d deliveries to 10, want what was due in %v s", res.Count, res.Seconds)
			}
		})
	}
}

// TestFanoutFaults plants each fault, for one connection of all and some of the
// messages.
func TestFanoutFaults(t *testing.T) {
	// some calls bad for one connection and each fifth message.
	some := func(bad func(c perch.Ref, p []byte)) func(i, n int, c perch.Ref, p []byte) {
		return func(i, n int, c perch.Ref, p []byte) {
			if n%5 == 3 && i%2 == 1 {
				bad(c, p)
			} else {
				c.Send(perch.Text, p)
			}
		}
	}
	held := make(map[perch.Ref][]byte)
	for _, tt := range []struct {
		name string
		to   func(i, n int, c perch.Ref, p []byte)
		want []Fault
	}{
		{"corrupt padding", some(func(c perch.Ref, p []byte) { p[len(p)-1]++; c.Send(perch.Text, p); p[len(p)-1]-- }), []Fault{Corrupt, Lost}},
		{"corrupt time", some(func(c perch.Ref, p []byte) { p[20] ^= 1; c.Send(perch.Text, p); p[20] ^= 1 }), []Fault{Corrupt, Lost}},
		{"corrupt number", some(func(c perch.Ref, p []byte) { p[3] = '7'; c.Send(perch.Text, p); p[3] = '0' }), []Fault{Corrupt, Lost}},
		{"no marker", some(func(c perch.Ref, p []byte) { c.Send(perch.Text, p[1:]) }), []Fault{Corrupt, Lost}},
		{"long", some(func(c perch.Ref, p []byte) { c.Send(perch.Text, append(bytes.Clone(p), '!')) }), []Fault{Corrupt, Lost}},
		{"opcode", some(func(c perch.Ref, p []byte) { c.Send(perch.Binary, p) }), []Fault{Corrupt, Lost}},
		{"drop", some(func(perch.Ref, []byte) {}), []Fault{Lost}},
		{"duplicate", some(func(c perch.Ref, p []byte) { c.Send(perch.Text, p); c.Send(perch.Text, p) }), []Fault{Duplicate}},
		{"reorder", func(i, n int, c perch.Ref, p []byte) {
			if i%2 == 1 && n%5 == 3 {
				held[c] = bytes.Clone(p) // for good if it is the last
				return
			}
			c.Send(perch.Text, p)
			if h := held[c]; h != nil {
				delete(held, c)
				c.Send(perch.Text, h)
			}
		}, []Fault{Reordered}},
		{"close", func(i, n int, c perch.Ref, p []byte) {
			if n == 20 && i == 1 {
				c.Close(perch.CloseGoingAway, "")
			}
			c.Send(perch.Text, p)
		}, []Fault{Closed, Lost}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wstest.NoLeaks(t)
			res := runUntil(t, func(d time.Duration) *Result {
				clear(held)
				return during(t, fan(tt.to), func(url string) *Result {
					// With a rate: nobody waits for what does not come.
					o := Fanout{Target: target(t, url, 4), Pubs: 1, Size: 100, Template: plain, Exact: true, Rate: 1000}
					o.Time, o.Drain = d, drainFor(tt.want)
					return runOf(t, o)
				})
			}, func(r *Result) bool {
				return r.Count > 0 && hasFaults(r, tt.want) && (tt.name != "reorder" || r.Errors["lost"] == 0)
			})
			expectFaults(t, res, tt.want...)
			if res.Count == 0 {
				t.Error("no delivery counted: the good ones should be")
			}
		})
	}
}

// TestFanoutGoesOn loses a subscriber, and one message: the publications that
// wait for all to get the one before do not stop.
func TestFanoutGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := fan(func(i, n int, c perch.Ref, p []byte) {
		switch {
		case i == 0 && n == 5:
			c.Close(perch.CloseGoingAway, "")
		case i == 1 && n == 10: // lost
		case n == 30:
			cancel()
		default:
			c.Send(perch.Text, p)
		}
	})
	o := Fanout{Target: target(t, serve(t, h), 4), Pubs: 1, Size: 64, Template: plain}
	o.Time, o.Drain = time.Minute, 50*time.Millisecond
	res, err := o.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	expectFaults(t, res, Closed, Lost, Timeout)
	if res.Errors["closed"] != 1 || res.Sent < 30 {
		t.Errorf("%d published, faults %v, want one closed and publications after the timeout", res.Sent, res.Errors)
	}
}

// TestFanoutGreeting publishes only when all have been answered, and takes no
// offence at what was published before.
func TestFanoutGreeting(t *testing.T) {
	var joined, early int
	h := fan(nil)
	all := h.OnMessage
	h.OnMessage = func(c perch.Conn, op perch.Opcode, p []byte) {
		if name, ok := bytes.CutPrefix(p, []byte("join ")); ok {
			joined++
			c.SendText("joined " + string(name) + ", history: m=0000000009,0000000000000001")
			return
		}
		if joined < 7 {
			early++
		}
		all(c, op, p)
	}
	o := Fanout{
		Target: target(t, serve(t, h), 5), Greeting: Greeting{Hello: []string{"join {id}"}, Ack: "joined "}, PubHello: []string{"join x", "join y"},
		Pubs: 1, Size: 64, Template: plain, Exact: true,
	}
	o.Settle = 20 * time.Millisecond
	expectFaults(t, runOf(t, o))
	if joined != 7 || early != 0 {
		t.Errorf("%d joined, %d messages before all had", joined, early)
	}
}

func TestTemplate(t *testing.T) {
	for _, bad := range []string{
		"", "m={seq}", "{seq},{ts}", "m={seq}{ts}", "m={seq}123456789{ts}", "{ts} m={seq}", "m={seq},{ts}{pad}{pad}", "m={seq}, too far {ts}",
	} {
		if _, err := newTemplate(bad, 100, false); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	form, err := newTemplate(`{"k":"m={seq}|{ts}","again":{seq},"p":"{pad}"}`, 90, false)
	if err != nil || len(form.text) != 90 {
		t.Fatalf("%d bytes, error %v, want 90", len(form.text), err)
	}
	got := string(form.put(1234567890, 42))
	if want := `{"k":"m=1234567890|0000000000000042","again":1234567890,"p":"` + string(form.pad) + `"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, hint := range []int{0, 6, 50, 1000} {
		if m, at, ok := findMarker([]byte(got), hint); !ok || at != 6 || m != (mark{1234567890, 42}) {
			t.Errorf("hint %d: %+v at %d, %v", hint, m, at, ok)
		}
	}
	for i := range got { // cut anywhere
		findMarker([]byte(got[:i]), 6)
	}
}

func TestFanoutNonsense(t *testing.T) {
	for _, spoil := range []func(o *Fanout){
		func(o *Fanout) { o.Pubs = 0 },
		func(o *Fanout) { o.Pubs = maxPubs + 1 },
		func(o *Fanout) { o.Template = "{pad}" },
		func(o *Fanout) { o.Size = -1 },
		func(o *Fanout) { o.Rate = -1 },
		func(o *Fanout) { o.URL = "nowhere" },
	} {
		o := Fanout{Target: target(t, "ws://127.0.0.1:1/", 1), Pubs: 1, Template: plain}
		spoil(&o)
		if _, err := o.Run(t.Context()); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestFanoutNobodyThere has nothing to measure.
func TestFanoutNobodyThere(t *testing.T) {
	wstest.NoLeaks(t)
	ln := wstest.Listen(t)
	url := "ws://" + ln.Addr().String()
	ln.Close()
	res := runOf(t, Fanout{Target: target(t, url, 2), Pubs: 1, Template: plain})
	expectFaults(t, res, Connect)
	if res.ErrorsTotal != 3 || res.Opened != 0 {
		t.Errorf("result %+v, want 3 faults", res)
	}
}
