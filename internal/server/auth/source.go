package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/spawn"
)

// source keeps a key set loaded: it loads every interval, sooner when asked, and never twice within gap. The last
// keys stay until others were loaded.
type source struct {
	// Immutable after newSource.
	load          func(ctx context.Context) ([]byte, error)
	publish       func([]Key)
	secrets       bool
	interval, gap time.Duration
	timeout       time.Duration
	log           *slog.Logger
	ctx           context.Context
	cancel        context.CancelFunc
	wake          chan struct{} // holds one request
	now           chan struct{} // the same, for a load that does not wait for gap
	clock         clock.Clock
	entropy       entropy.Source
	spawn         spawn.Spawner
	asked         *asked
	told          string // the last log line about the set; owned by the goroutine that loads

	// Atomic: any goroutine.
	loaded atomic.Int64 // time of the last good load, by the monotonic clock; 0: there was none yet

	mu   sync.Mutex    // guards next
	next chan struct{} // closed when a load ends, well or not
}

func newSource(c Config, publish func([]Key)) (*source, error) {
	s := &source{publish: publish, interval: c.Refresh, gap: c.RefreshGap, timeout: c.Timeout, log: c.Logger,
		wake: make(chan struct{}, 1), now: make(chan struct{}, 1), next: make(chan struct{}),
		clock: c.Clock, entropy: c.Entropy, asked: newAsked()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	first := time.Duration(0)
	if c.KeySetFile != "" {
		s.secrets = true
		s.load = func(context.Context) ([]byte, error) {
			b, err := readFile(c.KeySetFile, maxKeySet)
			return b, err
		}
		if err := s.update(); err != nil {
			s.cancel()
			return nil, fmt.Errorf("%s: %w", c.KeySetFile, err)
		}
		first = s.pause()
	} else {
		f, err := newFetcher(c.KeySetURL, c.HTTP)
		if err != nil {
			s.cancel()
			return nil, err
		}
		s.load = f.fetch
		s.log = s.log.With("url", f.name)
	}
	s.spawn.Go(spawn.Keys, func() { s.run(first) })
	return s, nil
}

func (s *source) close() {
	s.cancel()
	<-s.spawn.Gone(spawn.Keys)
}

// ask is called when a token names a missing key, or no key fits it. It reports whether the key may still come. If a
// load that began after the first question ends well without the key, the key counts as missing for the time gap. It
// does not block.
func (s *source) ask(what string) bool {
	if s.ctx.Err() != nil || !s.asked.missing(what, !s.fresh()) {
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default: // a load was asked for already
	}
	return true
}

// reload asks for a load at once. It does not block.
func (s *source) reload() {
	select {
	case s.now <- struct{}{}:
	default:
	}
}

// fresh reports whether the last load is less than gap ago.
func (s *source) fresh() bool {
	at := s.loaded.Load()
	return at != 0 && s.clock.Now()-at < int64(s.gap)
}

// nextLoad returns a channel that is closed when the load in progress, or the next one, ends.
func (s *source) nextLoad() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

func (s *source) run(first time.Duration) {
	earliest := s.clock.Now() // never load before that: the rate limit
	due := earliest + int64(first)
	for failures := 0; s.wait(due, earliest); {
		err := s.update()
		if s.ctx.Err() != nil {
			return
		}
		next := s.pause()
		switch {
		case err == nil && failures > 0:
			s.log.Info("the key set loads again", "failures", failures)
			failures = 0
		case err != nil:
			failures++
			s.log.Warn("the key set did not load; the last one stays", "error", err, "failures", failures)
			next = min(next, s.gap<<min(failures-1, 10)) // the issuer may be back soon
		}
		now := s.clock.Now()
		earliest = now + int64(s.gap)
		due = now + int64(max(next, s.gap))
		s.announce()
	}
}

// wait waits until the next load is due. It returns sooner if a load is asked for, but not before earliest, unless
// reload asks. false: the source is closed.
func (s *source) wait(due, earliest int64) bool {
	for {
		left := due - s.clock.Now()
		if left <= 0 && s.ctx.Err() == nil {
			return true
		}
		passed, stop := clock.After(s.clock, time.Duration(left))
		select {
		case <-s.ctx.Done():
			stop()
			return false
		case <-s.wake:
			due = min(due, earliest)
		case <-s.now:
			stop()
			return true
		case <-passed:
			return true
		}
		stop()
	}
}

// pause is the interval, less up to a tenth: servers that start together do not stay in step.
func (s *source) pause() time.Duration {
	return s.interval - time.Duration(entropy.IntN(s.entropy, int(s.interval/10+1)))
}

// announce wakes callers that wait for a load. Its result must be stored before.
func (s *source) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.next)
	s.next = make(chan struct{})
}

// update loads and publishes the set once.
func (s *source) update() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	load := s.asked.begin()
	b, err := s.load(ctx)
	if err != nil {
		return err
	}
	keys, skipped, err := parseKeySet(b, s.secrets)
	if err != nil {
		return err
	}
	s.tell(keys, skipped)
	s.publish(keys)
	s.loaded.Store(s.clock.Now())
	s.asked.end(load)
	return nil
}

// tell logs the keys, and the keys that are not used, if that has changed.
func (s *source) tell(keys []Key, skipped []error) {
	now := fmt.Sprint(keys, skipped)
	if now == s.told {
		return
	}
	s.told = now
	for _, k := range keys {
		s.log.Info("a key of the set verifies tokens", "key", k)
	}
	for _, why := range skipped {
		s.log.Warn("a key of the set is not used", "reason", why)
	}
	if len(keys) == 0 {
		s.log.Warn("the key set has no key that we can use", "left_out", len(skipped))
	}
}
