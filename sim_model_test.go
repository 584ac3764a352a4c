//go:build linux

package perch_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/simkernel"
)

const (
	simLoops  = 2
	simActors = 10
	simRounds = 2
	simSteps  = 120 // of the actors, in a round
)

var simAddr = netip.MustParseAddrPort("10.1.1.1:80")

// simRun is one run of the rooms model on simulated loops. All of it is one goroutine.
type simRun struct {
	*roommodel.Stage
	sim     *perch.Simulated
	machine *simkernel.Machine
	random  *rand.Rand

	actors     []*simActor
	publishers []*roommodel.Publisher
	held       [simLoops]int64 // a loop whose thread gets no CPU, until this moment
	visitors   int
	lost       int // connections that came to nothing
	slow       int // closed for being too slow
	turns      int
	dialled    int // connections of the server with itself that have not ended
	ending     bool
	faults     []string
}

// simulate runs the model from a seed. It returns a digest of everything that happened,
// and what should not have.
func simulate(seed uint64, plant simkernel.Plant, trace func(string)) (r *simRun, sum string) {
	random := rand.New(rand.NewPCG(seed, 2))
	r = &simRun{random: random}
	some := func(most int) int { // often nothing
		return max(random.IntN(2*most)-most, 0)
	}
	r.machine = simkernel.New(simkernel.Config{
		Seed: seed, Plant: plant, Trace: trace, Fault: r.fault,
		SendBuffer: 1 << (8 + random.IntN(9)), Window: 1 << (8 + random.IntN(9)),
		Faults: simkernel.Faults{
			CutRead: some(500), RefuseRead: some(100), CutWrite: some(500), RefuseWrite: some(100),
			DelayEvent: some(300), FailAccept: some(200), RefuseConnect: some(50), Stall: some(50), StallFor: 20 * time.Millisecond,
		},
	}, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	r.Stage = roommodel.NewStage(seed, r.fault)
	unlimited := perch.Rate{Messages: -1, Burst: -1, Bytes: -1}
	cfg := perch.Config{
		Loops: simLoops, Rate: unlimited, NewConnectionsPerSecond: -1, MaxConnections: 64,
		PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
		Rooms:  r.Config(),
	}
	if r.Slow {
		cfg.MaxOutput = 16 << 10
	}
	if seed&8 == 0 {
		cfg.MaxConnections = simActors - 2
	}
	var err error
	r.sim, err = perch.Simulate(cfg, r.machine, seed, simAddr, func(srv *perch.Server) {
		r.Serve(srv)
		srv.Handle("/echo", perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) }})
	})
	if err != nil {
		r.fault("start: %v", err)
		return r, ""
	}
	r.MakeAll()
	for i := range simActors {
		r.actors = append(r.actors, &simActor{Actor: r.NewActor(i, 5)})
	}
	r.publishers = r.Publishers(2)
	for range simRounds {
		r.round()
		if r.quiet(); len(r.faults) > 0 {
			break
		}
	}
	r.end()
	return r, r.machine.Sum()
}

// fault takes note of what should not have happened. The first ones say it all.
func (r *simRun) fault(format string, args ...any) {
	if len(r.faults) < 5 {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

// round is a stretch of everything at once.
func (r *simRun) round() {
	for range simSteps {
		r.step(r.actors[r.random.IntN(len(r.actors))])
		switch k := r.random.IntN(40); {
		case k < 12:
			r.publishers[k%2].GoOn(r.random, 1+r.random.IntN(3), 400)
		case k == 12 && r.Slow:
			if to := r.Hub.Room(roommodel.RoomID(r.random.IntN(roommodel.Rooms))); to != nil {
				for range 10 {
					r.publishers[0].Publish(to, 4<<10, nil)
				}
			}
		case k == 14:
			r.dial()
		case k == 13:
			r.held[r.random.IntN(simLoops)] = r.machine.Clock.Now() + r.random.Int64N(int64(5*time.Millisecond))
		}
		r.pump(time.Duration(r.random.Int64N(int64(2 * time.Millisecond))))
	}
}

// step lets one actor do something.
func (r *simRun) step(a *simActor) {
	if a.visitor == nil || a.visitor.over {
		r.connect(a)
		return
	}
	v := a.visitor
	switch k := r.random.IntN(100); {
	case k < 6:
		v.ping()
	case k < 84:
		v.ask(func(view *roommodel.View) string { return view.Next(r.random) })
	case k < 92:
		if v.stop {
			v.goOn()
		} else {
			v.stop = r.Slow && r.random.IntN(2) == 0
		}
	default:
		v.finish(r.random.IntN(4))
	}
}

// pump lets so much time pass.
func (r *simRun) pump(d time.Duration) {
	clk := r.machine.Clock
	for end := clk.Now() + int64(d); clk.Now() < end; {
		r.sim.Run()
		next := time.Duration(end - clk.Now())
		var awake [simLoops]int
		n := 0
		for i := range r.sim.Loops() {
			due := r.sim.Due(i)
			if held := time.Duration(r.held[i] - clk.Now()); due >= 0 {
				due = max(due, held)
			}
			switch {
			case due == 0:
				awake[n] = i
				n++
			case due > 0:
				next = min(next, due)
			}
		}
		if n > 0 {
			if err := r.sim.Turn(awake[r.random.IntN(n)]); err != nil {
				r.fault("a loop has failed: %v", err)
				return
			}
			r.turns++
			clk.Advance(time.Duration(1+r.random.IntN(50)) * time.Microsecond)
			continue
		}
		if due, ok := clk.Next(); ok {
			next = min(next, due)
		}
		clk.Advance(max(next, 1))
	}
	r.sim.Run()
}

// connected are the visitors that have a connection.
func (r *simRun) connected() (all []*simVisitor) {
	for _, a := range r.actors {
		if a.visitor != nil && !a.visitor.over {
			all = append(all, a.visitor)
		}
	}
	return all
}

// await pumps until what is missing is nothing.
func (r *simRun) await(what string, missing func() string) {
	const most = 30 * time.Second
	for end := r.machine.Clock.Now() + int64(most); len(r.faults) == 0; r.pump(time.Millisecond) {
		why := missing()
		if why == "" {
			return
		}
		if r.machine.Clock.Now() > end {
			r.fault("gave up waiting until %s: %s", what, why)
		}
	}
}

// quiet waits until nothing is under way, and compares what everybody has seen with what
// has been.
func (r *simRun) quiet() {
	for _, v := range r.connected() {
		v.goOn()
	}
	r.await("nothing is under way", r.underWay)
	r.barrier() // what is sent because of what was asked is behind the first answer
	r.barrier()
	var views []*roommodel.View
	r.await("the views agree", func() string {
		views = nil
		for _, v := range r.connected() {
			views = append(views, v.view)
		}
		return r.Difference(views)
	})
	if len(r.faults) > 0 {
		return
	}
	for _, view := range views {
		view.Complete()
	}
	r.Check()
}

// underWay is what is not over yet.
func (r *simRun) underWay() string {
	all := r.connected()
	if r.dialled != 0 {
		return fmt.Sprintf("%d dialled connections", r.dialled)
	}
	if n := r.sim.Connections(); n != len(all) {
		return fmt.Sprintf("%d connections, %d visitors", n, len(all))
	}
	for _, v := range all {
		if v.ending || !v.opened {
			return "visitor " + v.view.K + " is ending, or not open yet"
		}
	}
	return r.UnderWay()
}

// barrier waits for an answer to everything.
func (r *simRun) barrier() {
	for _, v := range r.connected() {
		v.ask((*roommodel.View).AskRooms)
	}
	r.await("all is answered", func() string {
		for _, v := range r.connected() {
			if n := v.view.Waiting(); n != 0 || v.ponged != v.pings {
				return fmt.Sprintf("visitor %s has asked %d questions, pongs are at %d of %d", v.view.K, n, v.ponged, v.pings)
			}
		}
		return ""
	})
}

// end ends the run, one way or another, and looks for what is left.
func (r *simRun) end() {
	broken := len(r.faults) > 0
	r.ending = true
	for _, v := range r.connected() {
		v.goOn()
	}
	way := r.random.IntN(3)
	if way == 2 {
		for _, v := range r.connected() {
			v.finish(r.random.IntN(4))
		}
	}
	r.publishers[0].GoOn(r.random, 20, 100)
	r.sim.Shutdown(way == 1 || broken)
	for range 100 {
		if r.pump(100 * time.Millisecond); r.sim.Ended() {
			break
		}
	}
	if !r.sim.Ended() {
		r.sim.Shutdown(true)
		r.pump(time.Second)
		r.fault("the loops do not end")
		return
	}
	for _, v := range r.connected() {
		v.quit()
	}
	r.pump(time.Second)
	r.sim.Close()
	if broken {
		return
	}
	r.NothingLeft()
	if n := r.machine.Open(); n != 0 {
		r.fault("%d descriptors are left open", n)
	}
}
