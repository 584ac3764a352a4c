//go:build linux

package rooms_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/wstest"
)

var (
	roomsSeed = flag.Uint64("rooms.seed", 0, "seed of the rooms model test; 0: a few fixed ones")
	roomsFor  = flag.Duration("rooms.for", 0, "how long the rooms model test takes fresh seeds; 0: it does not")
)

// TestRoomsModel lets many visitors do at random what can be done with rooms, on
// several loops, while plain goroutines publish, and holds what everybody sees
// against a simple model: one list of messages for each life of a room.
func TestRoomsModel(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	if *roomsSeed != 0 {
		seeds = []uint64{*roomsSeed}
	}
	for _, seed := range seeds {
		runRoomsModel(t, seed)
	}
	for end := time.Now().Add(*roomsFor); time.Now().Before(end) && !t.Failed(); {
		runRoomsModel(t, rand.Uint64()|1<<32)
	}
}

func runRoomsModel(t *testing.T, seed uint64) {
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		m := newModel(t, seed)
		defer m.stop(seed)
		for range modelRounds {
			m.round()
			if m.quiet(); t.Failed() {
				break
			}
		}
		m.end()
	})
}

const (
	modelRounds = 3
	modelSteps  = 250 // of the visitors, in a round
	modelActors = 24
)

// model is one run.
type model struct {
	*roommodel.Stage
	t          *testing.T
	random     *rand.Rand
	actors     []*actor
	visitors   int
	publishers []*roommodel.Publisher
	publishing sync.WaitGroup

	ending  atomic.Bool // whatever ends now was told to
	tooSlow atomic.Int64
	faults  atomic.Int64
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, random: rand.New(rand.NewPCG(seed, seed))}
	m.Stage = roommodel.NewStage(seed, m.faulty)
	cfg := perch.Config{
		Loops: 4, Rate: enginetest.Unlimited, NewConnectionsPerSecond: -1, PingInterval: -1, PingTimeout: -1,
		Rooms: m.Config(),
	}
	if m.Slow {
		cfg.MaxOutput = 128 << 10
	}
	enginetest.Start(t, cfg, m.Serve)
	m.MakeAll()
	for i := range modelActors {
		m.actors = append(m.actors, &actor{Actor: m.NewActor(i, 8)})
	}
	m.publishers = m.Publishers(3)
	return m
}

func (m *model) faulty(format string, args ...any) {
	m.t.Helper()
	if m.faults.Add(1) <= 5 {
		m.t.Errorf(format, args...)
	}
}

// round is a stretch of everything at once.
func (m *model) round() {
	for i, p := range m.publishers {
		random := rand.New(rand.NewPCG(m.random.Uint64(), 0))
		m.publishing.Go(func() {
			p.GoOn(random, modelSteps/2, 400)
			if m.Slow && i == 0 {
				if r := m.Hub.Room(roommodel.RoomID(random.IntN(roommodel.Rooms))); r != nil {
					for range 100 {
						p.Publish(r, 40<<10, nil)
					}
				}
			}
		})
	}
	for range modelSteps {
		m.step(m.actors[m.random.IntN(len(m.actors))])
	}
	m.publishing.Wait()
}

// step lets one actor do something.
func (m *model) step(a *actor) {
	if a.visitor == nil {
		m.connect(a)
		return
	}
	select {
	case <-a.visitor.over:
		m.connect(a)
		return
	default:
	}
	c := a.visitor
	switch k := m.random.IntN(100); {
	case k < 84:
		c.ask(func(v *roommodel.View) string { return v.Next(m.random) })
	case k < 92:
		c.stop(m.Slow && m.random.IntN(2) == 0)
	default:
		m.finish(c, m.random.IntN(4))
	}
}

// connect opens the next connection of an actor.
func (m *model) connect(a *actor) {
	m.visitors++
	dialect := "0"
	if a.User != "" && m.random.IntN(2) == 0 {
		dialect = "1"
	}
	c := &visitor{model: m, view: m.NewView(a.Actor, strconv.Itoa(m.visitors), dialect), over: make(chan struct{})}
	c.gate = sync.NewCond(&c.mu)
	c.Conn = wstest.Dial(m.t, m.Server.Addr().String(), "/ws?"+c.view.Query())
	c.Timeout = time.Minute
	a.visitor = c
	go c.read()
}

// stop stops reading, or goes on.
func (c *visitor) stop(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = yes
	c.gate.Signal()
}

// finish ends a connection in one of several ways.
func (m *model) finish(c *visitor, way int) {
	c.mu.Lock()
	c.ending = true
	c.view.Note("> ", "end "+strconv.Itoa(way))
	c.mu.Unlock()
	c.stop(false)
	switch way {
	case 0:
		c.TrySend(wstest.Close(frame.CloseNormal, ""))
	case 1:
		c.TCP().CloseWrite()
	case 2:
		c.Conn.Close()
	default:
		c.Reset()
	}
}

// stop lets everything come to its end, whatever ended the run, and says how to
// see a failure again.
func (m *model) stop(seed uint64) {
	m.ending.Store(true)
	m.publishing.Wait()
	for _, a := range m.actors {
		if a.visitor != nil {
			a.visitor.stop(false)
		}
	}
	if m.t.Failed() {
		s := m.Server.Stats()
		m.t.Logf("%d slow ticks, the longest below %v", s.SlowTicks, s.Ticks.Quantile(1))
		m.t.Logf("again: go test -race -run '^TestRoomsModel$' ./internal/enginetest/rooms -rooms.seed %d", seed)
	}
}

// end ends the run, one way or another, and looks for what is left.
func (m *model) end() {
	m.ending.Store(true)
	random := rand.New(rand.NewPCG(m.random.Uint64(), 0))
	m.publishing.Go(func() { m.publishers[0].GoOn(random, modelSteps, 100) })
	way := m.random.IntN(3)
	for _, a := range m.actors {
		if a.visitor != nil && way == 2 {
			m.finish(a.visitor, m.random.IntN(4))
		}
	}
	if way == 0 {
		ctx, cancel := context.WithTimeout(m.t.Context(), wstest.DefaultTimeout)
		defer cancel()
		for _, a := range m.actors {
			if a.visitor != nil {
				a.visitor.stop(false)
			}
		}
		if err := m.Server.Shutdown(ctx); err != nil {
			m.Fault("Shutdown: %v", err)
		}
	}
	m.Server.Close()
	m.Server.Wait()
	m.publishing.Wait() // they have gone on meanwhile
	for _, a := range m.actors {
		if a.visitor != nil {
			a.visitor.stop(false)
			<-a.visitor.over
		}
	}
	m.NothingLeft()
	m.t.Logf("%d connections, %s, %d too slow", m.visitors, m.Summary(), m.tooSlow.Load())
}
