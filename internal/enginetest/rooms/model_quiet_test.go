//go:build linux

package rooms_test

import (
	"fmt"
	"time"

	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/wstest"
)

// quiet waits until nothing is under way, and compares what everybody has seen
// with what has been.
func (m *model) quiet() {
	for _, a := range m.actors {
		if a.visitor != nil {
			a.visitor.stop(false)
		}
	}
	m.await("nothing is under way", m.underWay)
	m.barrier() // what is sent because of what was asked is behind the first answer
	m.barrier()
	m.await("the views agree", func() (why string) {
		m.views(func(all []*roommodel.View) { why = m.Difference(all) })
		return why
	})
	m.views(func(all []*roommodel.View) {
		for _, v := range all {
			v.Complete()
		}
	})
	m.Check()
}

// views calls f with the views of all visitors that have a connection, which stand
// still meanwhile.
func (m *model) views(f func(all []*roommodel.View)) {
	var all []*roommodel.View
	for _, c := range m.connected() {
		c.mu.Lock()
		defer c.mu.Unlock()
		all = append(all, c.view)
	}
	f(all)
}

// await waits until what is still missing is nothing.
func (m *model) await(what string, missing func() string) {
	m.t.Helper()
	for end := time.Now().Add(wstest.DefaultTimeout); ; time.Sleep(time.Millisecond) {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			m.Fault("gave up waiting until %s: %s", what, why)
			return
		}
	}
}

// connected are the visitors that have a connection.
func (m *model) connected() (all []*visitor) {
	for _, a := range m.actors {
		if a.visitor == nil {
			continue
		}
		select {
		case <-a.visitor.over:
		default:
			all = append(all, a.visitor)
		}
	}
	return all
}

// underWay is what is not over yet, of endings and publishes. A connection that
// has ended may have asked for something before.
func (m *model) underWay() string {
	all := m.connected()
	if n := m.Server.Stats().Connections; n != len(all) {
		return fmt.Sprintf("%d connections, %d visitors", n, len(all))
	}
	for _, c := range all {
		c.mu.Lock()
		ending := c.ending
		c.mu.Unlock()
		if ending {
			return "visitor " + c.view.K + " is ending"
		}
	}
	return m.UnderWay()
}

// barrier waits for an answer to everything.
func (m *model) barrier() {
	for _, c := range m.connected() {
		c.ask((*roommodel.View).AskRooms)
	}
	m.await("all is answered", func() string {
		for _, c := range m.connected() {
			if n := c.waiting(); n != 0 {
				return fmt.Sprintf("visitor %s has asked %d questions", c.view.K, n)
			}
		}
		return ""
	})
}
