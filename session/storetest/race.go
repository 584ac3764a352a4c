package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/perchws/perch/session"
)

const racers = 8

// race runs f in several goroutines at once and waits for all. f must not end
// the test: it reports by Errorf.
func (c *check) race(f func(i int)) {
	c.Helper()
	var done sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		done.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	done.Wait()
}

// attachRace: of all connections that take a session over, each is reported as replaced once, except the last.
func attachRace(c *check) {
	const rounds = 20
	s := c.member("ada", "first")
	var mu sync.Mutex
	told := make(map[string]int)
	c.race(func(i int) {
		for round := range rounds {
			name := fmt.Sprintf("c%d.%d", i, round)
			_, replaced, err := c.Store.Attach(c.ctx, session.Claim{Key: s.ID, ConnectionID: name})
			if err != nil {
				c.Errorf("Attach to %s: %v", name, err)
			}
			mu.Lock()
			told[replaced]++
			mu.Unlock()
		}
	})
	holder := c.get(s.ID).ConnectionID
	if len(told) != racers*rounds || told[""] != 0 || told[holder] != 0 || told["first"] != 1 {
		c.Errorf("%d connections were told (%d times nobody, the holder %d times, the first %d times), want each of %d once and the first once",
			len(told), told[""], told[holder], told["first"], racers*rounds)
	}
}

// tokenRace: when several show one token at once, it opens for one of them.
func tokenRace(c *check) {
	const rounds = 20
	s := c.member("ada", "c")
	for round := range rounds {
		k := c.token(s.ID)
		var mu sync.Mutex
		opened := 0
		c.race(func(i int) {
			_, _, err := c.Store.Attach(c.ctx, session.Claim{Key: k, ConnectionID: fmt.Sprintf("c%d.%d", i, round)})
			if err != nil && !errors.Is(err, session.ErrNotFound) {
				c.Errorf("Attach: %v", err)
			}
			if err == nil {
				mu.Lock()
				opened++
				mu.Unlock()
			}
		})
		if opened != 1 {
			c.Fatalf("a token opened for %d, want 1", opened)
		}
	}
}

// updateRace: no update undoes another.
func updateRace(c *check) {
	const rounds = 20
	s := c.member("ada", "c")
	c.race(func(i int) {
		for round := range rounds {
			patch := fmt.Sprintf(`{"k%d.%d":%d}`, i, round, round)
			if _, err := c.Store.Update(c.ctx, s.ID, []byte(patch)); err != nil {
				c.Errorf("Update(%s): %v", patch, err)
			}
		}
	})
	var got map[string]int
	if err := c.get(s.ID).Data.Decode(&got); err != nil {
		c.Fatal(err)
	}
	for i := range racers {
		for round := range rounds {
			if v, ok := got[fmt.Sprintf("k%d.%d", i, round)]; !ok || v != round {
				c.Errorf("update %d of goroutine %d: %d, %t", round, i, v, ok)
			}
		}
	}
}
