//go:build linux

package simkernel

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// Config is what a Machine is like.
type Config struct {
	Seed   uint64
	Faults Faults
	// SendBuffer and Window bound what a direction of a connection holds, in bytes, on
	// its way and at the receiver. 0: 64 KiB.
	SendBuffer, Window int
	// Fault is told what a loop may not do. nil: it panics.
	Fault func(format string, args ...any)
	// Trace, if not nil, is told each event that Sum covers: for looking at a failure.
	Trace func(line string)
	// Plant is a fault of the kernel's own, which a test of the test must find.
	Plant Plant
}

// Faults says how often what goes wrong: in a thousand calls or events each.
type Faults struct {
	CutRead       int // a receive gives fewer bytes than there are
	RefuseRead    int // a receive finds nothing: its readiness was spurious
	CutWrite      int // a send takes fewer bytes than there is room for
	RefuseWrite   int // a send finds no room, though there is some
	DelayEvent    int // an event is left out of one Wait
	FailAccept    int // an accept fails: EMFILE, ENFILE or ECONNABORTED
	RefuseConnect int // a connection comes to nothing
	Stall         int // bytes are on their way for long, by up to StallFor
	StallFor      time.Duration
}

// Plant is a fault that no kernel has.
type Plant uint8

const (
	PlantNone   Plant = iota
	PlantRearm        // a poller forgets, sometimes, that it was asked to wait for room
	PlantBorder       // a short write loses a byte, sometimes
)

// Machine is a simulated kernel. Its methods and those of what it makes may be called
// by one goroutine.
type Machine struct {
	Clock *clock.Manual

	cfg       Config
	random    *rand.Rand
	table     []*socket // by descriptor, less firstFD
	listeners map[netip.AddrPort][]*socket
	port      uint16
	sum       hash.Hash
	line      []byte
	events    uint64
}

// firstFD is the lowest simulated descriptor: no real one has such a number, so that a
// call that has gone to the real kernel fails.
const firstFD = 1 << 24

// New makes a machine without sockets. Its clock stands at the given time of day.
func New(c Config, wall time.Time) *Machine {
	if c.SendBuffer == 0 {
		c.SendBuffer = 64 << 10
	}
	if c.Window == 0 {
		c.Window = 64 << 10
	}
	if c.Fault == nil {
		c.Fault = func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
	}
	return &Machine{
		Clock: clock.NewManual(wall), cfg: c, random: rand.New(rand.NewPCG(c.Seed, 1)),
		listeners: make(map[netip.AddrPort][]*socket), port: 40000, sum: sha256.New(),
	}
}

// chance reports, as often as so many of a thousand, that something happens.
func (m *Machine) chance(perMille int) bool {
	return perMille > 0 && m.random.IntN(1000) < perMille
}

// Note makes an event part of Sum: those of the test as well, so that a run that
// differs is known to differ.
func (m *Machine) Note(what string, numbers ...int64) {
	m.note(what, nil, numbers...)
}

func (m *Machine) note(what string, data []byte, numbers ...int64) {
	m.events++
	m.line = append(m.line[:0], what...)
	m.line = binary.LittleEndian.AppendUint64(m.line, uint64(m.Clock.Now()))
	for _, n := range numbers {
		m.line = binary.LittleEndian.AppendUint64(m.line, uint64(n))
	}
	m.line = binary.LittleEndian.AppendUint64(m.line, uint64(len(data)))
	m.sum.Write(m.line)
	m.sum.Write(data)
	if m.cfg.Trace != nil {
		m.cfg.Trace(fmt.Sprintf("%v %s %v %.60q", time.Duration(m.Clock.Now()), what, numbers, data))
	}
}

// Sum is a digest of every event so far: calls with their results, bytes sent and
// received, and what Note was told.
func (m *Machine) Sum() string { return fmt.Sprintf("%x", m.sum.Sum(nil)[:16]) }

// Events is how many events Sum covers.
func (m *Machine) Events() uint64 { return m.events }

// Open is how many sockets the loops have open, listeners and spare descriptors too.
func (m *Machine) Open() (n int) {
	for _, s := range m.table {
		if s != nil {
			n++
		}
	}
	return n
}

// after has f run when the network has had its time.
func (m *Machine) after(f func()) {
	d := time.Duration(20+m.random.IntN(200)) * time.Microsecond
	if m.chance(m.cfg.Faults.Stall) && m.cfg.Faults.StallFor > 0 {
		d += time.Duration(m.random.Int64N(int64(m.cfg.Faults.StallFor)))
	}
	m.Clock.AfterFunc(d, f)
}
