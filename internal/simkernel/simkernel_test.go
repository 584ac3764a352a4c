//go:build linux

package simkernel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

var at = netip.MustParseAddrPort("10.1.1.1:80")

// world is a machine with one loop that listens.
type world struct {
	*Machine
	t        *testing.T
	k        *Kernel
	p        *Poller
	listener int
	faults   []string
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	w := &world{t: t}
	c.Fault = func(format string, args ...any) { w.faults = append(w.faults, fmt.Sprintf(format, args...)) }
	w.Machine = New(c, time.Unix(0, 0))
	w.k = w.Kernel(0)
	w.p = w.k.Poller()
	var err error
	if w.listener, err = w.k.Listen(at, true); err != nil {
		t.Fatal(err)
	}
	if err := w.p.Add(w.listener, poller.Token{Slot: 1}, poller.In); err != nil {
		t.Fatal(err)
	}
	return w
}

// wait is what the poller reports, by slot.
func (w *world) wait() map[int32]poller.Event {
	w.t.Helper()
	events := make([]poller.Event, 8)
	n, err := w.p.Wait(events, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	all := make(map[int32]poller.Event)
	for _, e := range events[:n] {
		all[e.Token().Slot] = e
	}
	return all
}

// open is a connection of a Peer's that the loop has accepted and registered as slot 2.
func (w *world) open() (*Peer, int) {
	w.t.Helper()
	p := w.Dial(at, netip.MustParseAddr("10.0.0.1"))
	w.Clock.Advance(time.Second)
	if e, ok := w.wait()[1]; !ok || !e.Readable() {
		w.t.Fatal("the listener is not ready")
	}
	fd, peer, e := w.k.Accept(w.listener)
	if e != 0 || peer != netip.MustParseAddr("10.0.0.1") {
		w.t.Fatal(peer, e)
	}
	if err := w.p.Add(fd, poller.Token{Slot: 2, Generation: 7}, poller.In); err != nil {
		w.t.Fatal(err)
	}
	return p, fd
}

// TestStream: bytes go both ways, readiness lasts until they are read, and the ends come
// behind them.
func TestStream(t *testing.T) {
	w := newWorld(t, Config{SendBuffer: 100, Window: 50})
	p, fd := w.open()
	if _, _, e := w.k.Accept(w.listener); e != unix.EAGAIN {
		t.Errorf("a second accept: %v", e)
	}
	p.Write([]byte("hello"))
	if _, e := w.k.Recv(fd, make([]byte, 9)); e != unix.EAGAIN {
		t.Errorf("input before the network has moved it: %v", e)
	}
	w.Clock.Advance(time.Second)
	for range 2 {
		if e, ok := w.wait()[2]; !ok || !e.Readable() || e.Writable() || e.Token().Generation != 7 {
			t.Fatalf("%+v, %v", e, ok)
		}
	}
	b := make([]byte, 200)
	if n, e := w.k.Recv(fd, b); string(b[:n]) != "hello" || e != 0 {
		t.Errorf("%q, %v", b[:n], e)
	}
	if n, e := w.k.Send(fd, make([]byte, 120)); n != 100 || e != 0 {
		t.Errorf("%d bytes into a buffer of 100: %v", n, e)
	}
	if n, e := w.k.Send(fd, b); n != 0 || e != unix.EAGAIN || w.k.Unacked(fd) != 100 {
		t.Errorf("%d more, %v", n, e)
	}
	w.p.Mod(fd, poller.Token{Slot: 2}, poller.Out)
	if _, ok := w.wait()[2]; ok {
		t.Error("room in a full buffer")
	}
	w.Clock.Advance(time.Second) // the window takes half of it
	if e, ok := w.wait()[2]; !ok || !e.Writable() || w.k.Unacked(fd) != 50 {
		t.Errorf("%+v, %v, %d", e, ok, w.k.Unacked(fd))
	}
	if d := w.k.PeerProgress(fd); d.Taken != 50 || !d.Waiting || d.Window != 0 || d.LastAck <= 0 {
		t.Errorf("%+v", d)
	}
	w.k.ShutdownWrite(fd)
	total := 0
	for {
		n, e := p.Read(b)
		if total += n; n == 0 && e == 0 {
			break
		}
		w.Clock.Advance(time.Second)
	}
	if total != 100 {
		t.Errorf("%d bytes came before the end", total)
	}
	p.Close()
	w.Clock.Advance(time.Second)
	if e := w.wait()[2]; !e.Broken() {
		t.Error("both directions are shut, and it is no hang-up")
	}
	w.k.Close(fd)
	w.k.Close(w.listener)
	if w.Open() != 0 || len(w.faults) > 0 {
		t.Errorf("%d are open; %q", w.Open(), w.faults)
	}
}

// TestReset: closing with unread input resets; what has arrived can still be read, then
// the error is told once.
func TestReset(t *testing.T) {
	w := newWorld(t, Config{})
	p, fd := w.open()
	p.Write([]byte("unread"))
	w.k.Send(fd, []byte("last"))
	w.Clock.Advance(time.Second)
	w.k.Close(fd)
	w.Clock.Advance(time.Second)
	b := make([]byte, 10)
	if n, e := p.Read(b); string(b[:n]) != "last" || e != 0 {
		t.Errorf("%q, %v", b[:n], e)
	}
	if _, e := p.Read(b); e != unix.ECONNRESET {
		t.Errorf("%v", e)
	}
	if n, e := p.Read(b); n != 0 || e != 0 {
		t.Errorf("the error comes again: %v", e)
	}
	q, fd := w.open()
	q.Reset()
	w.Clock.Advance(time.Second)
	if e := w.wait()[2]; !e.Broken() || w.k.Error(fd) != unix.ECONNRESET || w.k.Error(fd) != 0 {
		t.Errorf("%+v", e)
	}
	if _, e := w.k.Send(fd, b); e != unix.EPIPE {
		t.Errorf("a send after a reset: %v", e)
	}
}

func TestConnect(t *testing.T) {
	w := newWorld(t, Config{})
	nobody, _ := w.k.Connect(netip.MustParseAddrPort("10.1.1.1:81"), netip.Addr{})
	fd, _ := w.k.Connect(at, netip.Addr{})
	w.p.Add(nobody, poller.Token{Slot: 3}, poller.Out)
	w.p.Add(fd, poller.Token{Slot: 4}, poller.Out)
	if len(w.wait()) != 0 {
		t.Error("connected at once")
	}
	w.Clock.Advance(time.Second)
	got := w.wait()
	if e := got[3]; !e.Broken() || w.k.Error(nobody) != unix.ECONNREFUSED {
		t.Errorf("to nobody: %+v", e)
	}
	if e := got[4]; !e.Writable() || w.k.Error(fd) != 0 || w.k.PeerAddr(fd) != at {
		t.Errorf("to the listener: %+v", e)
	}
}

// TestMisuse: what no loop may do is a fault.
func TestMisuse(t *testing.T) {
	w := newWorld(t, Config{})
	_, fd := w.open()
	w.Kernel(1).Recv(fd, make([]byte, 1))
	w.k.Recv(w.listener, make([]byte, 1))
	w.p.Add(fd, poller.Token{}, poller.In)
	w.k.Close(fd)
	w.k.Close(fd)
	w.k.Send(5, nil)
	w.p.Mod(w.listener, poller.Token{}, poller.In)
	w.p.Del(w.listener)
	w.p.Del(w.listener)
	want := []string{"loop 0's", "no connection", "ADD", "close on descriptor 1, which is not open", "send on descriptor", "DEL"}
	if len(w.faults) != len(want) {
		t.Fatalf("%q", w.faults)
	}
	for i, f := range w.faults {
		if !strings.Contains(f, want[i]) {
			t.Errorf("%q, want one with %q", f, want[i])
		}
	}
	if spare, _ := w.k.Spare(); spare != fd {
		t.Errorf("descriptor %d, want the lowest free, %d", spare, fd)
	}
}

// TestSleep: a loop is to be turned when it is woken, when its time has come, and when
// something is ready.
func TestSleep(t *testing.T) {
	w := newWorld(t, Config{})
	if w.p.Due() != 0 {
		t.Error("it sleeps before it was told to")
	}
	w.p.Sleep(-1)
	if w.p.Due() >= 0 || !w.p.Sleeping() {
		t.Error("it wakes by itself")
	}
	w.p.Wake()
	if w.p.Due() != 0 || w.p.Sleeping() {
		t.Error("it sleeps on")
	}
	w.wait()
	w.p.Sleep(time.Minute)
	w.Clock.Advance(time.Second)
	if d := w.p.Due(); d != 59*time.Second {
		t.Error(d)
	}
	w.Dial(at, netip.MustParseAddr("10.0.0.1"))
	w.Clock.Advance(time.Second)
	if w.p.Due() != 0 {
		t.Error("it sleeps though the listener is ready")
	}
}

// TestFaultsOfTheKernel: whatever is cut, refused and delayed, all bytes come, in order;
// and a seed gives the same twice.
func TestFaultsOfTheKernel(t *testing.T) {
	run := func(seed uint64) (sum string, got []byte) {
		w := newWorld(t, Config{Seed: seed, SendBuffer: 64, Window: 48, Faults: Faults{
			CutRead: 500, RefuseRead: 300, CutWrite: 500, RefuseWrite: 300, DelayEvent: 500, Stall: 300, StallFor: time.Second,
		}})
		p, fd := (*Peer)(nil), 0
		for p == nil {
			p = w.Dial(at, netip.MustParseAddr("10.0.0.1"))
			w.Clock.Advance(2 * time.Second)
			fd, _, _ = w.k.Accept(w.listener)
		}
		sent := bytes.Repeat([]byte("0123456789"), 100)
		left, random := sent, rand.New(rand.NewPCG(seed, 9))
		for len(got) < len(sent) {
			switch random.IntN(3) {
			case 0:
				var v sock.Vector
				for b := range slices.Chunk(left[:min(len(left), 30)], 7) {
					v.Add(b)
				}
				if v.Len() > 0 {
					n, _ := w.k.SendVector(fd, &v)
					left = left[n:]
				}
			case 1:
				b := make([]byte, 20)
				n, _ := p.Read(b)
				got = append(got, b[:n]...)
			default:
				w.Clock.Advance(time.Duration(random.IntN(int(time.Millisecond))))
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("seed %d: %q", seed, got)
		}
		if len(w.faults) > 0 {
			t.Errorf("seed %d: %q", seed, w.faults)
		}
		return w.Sum(), got
	}
	one, _ := run(1)
	again, _ := run(1)
	other, _ := run(2)
	if one != again || one == other {
		t.Errorf("sums %s, again %s, of another seed %s", one, again, other)
	}
}

// TestFailingAccepts: each way in which accept fails is met, and only an aborted
// connection is lost by it.
func TestFailingAccepts(t *testing.T) {
	w := newWorld(t, Config{Faults: Faults{FailAccept: 500}})
	met := make(map[unix.Errno]int)
	const dials = 200
	for range dials {
		w.Dial(at, netip.MustParseAddr("10.0.0.1"))
	}
	w.Clock.Advance(time.Second)
	for {
		_, _, e := w.k.Accept(w.listener)
		if met[e]++; e == unix.EAGAIN {
			break
		}
	}
	if met[0]+met[unix.ECONNABORTED] != dials || met[unix.EMFILE] == 0 || met[unix.ENFILE] == 0 || met[unix.ECONNABORTED] == 0 {
		t.Errorf("%v", met)
	}
}
