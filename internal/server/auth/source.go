package auth

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// source keeps a key set loaded: every interval, sooner when it is asked to, and never twice
// within gap. What was loaded last stays until something else was loaded.
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
	now           chan struct{} // the same, and it does not wait for gap
	ended         chan struct{}
	start         time.Time
	asked         *asked
	told          string // what was last logged of the set; owned by the goroutine that loads

	// Atomic: any goroutine.
	loaded atomic.Int64 // nanoseconds from start to the last good load; 0: none yet

	mu   sync.Mutex    // guards next
	next chan struct{} // closed when a load ends, well or not
}

func newSource(c Config, publish func([]Key)) (*source, error) {
	s := &source{publish: publish, interval: c.Refresh, gap: c.RefreshGap, timeout: c.Timeout, log: c.Logger,
		wake: make(chan struct{}, 1), now: make(chan struct{}, 1), ended: make(chan struct{}), next: make(chan struct{}), start: time.Now(), asked: newAsked()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	first := time.Duration(0)
	if c.KeySetFile != "" {
		s.secrets = true
		s.load = func(context.Context) ([]byte, error) {
			b, _, err := readFile(c.KeySetFile, maxKeySet)
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
	go s.run(first)
	return s, nil
}

func (s *source) close() {
	s.cancel()
	<-s.ended
}

// ask is called when a token names a key that is not here, or none that fits. It reports whether new keys may
// come: until a set that was asked for after what was first looked for has been loaded, and did not have
// it. Then it is missing for as long as gap. It does not block.
func (s *source) ask(what string) bool {
	if s.ctx.Err() != nil || !s.asked.missing(what, !s.fresh()) {
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default: // somebody has asked already
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

// fresh reports whether the set is younger than gap.
func (s *source) fresh() bool {
	at := s.loaded.Load()
	return at != 0 && time.Since(s.start)-time.Duration(at) < s.gap
}

// nextLoad returns a channel that is closed when the load in progress, or the next one, ends.
func (s *source) nextLoad() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

func (s *source) run(first time.Duration) {
	defer close(s.ended)
	due := time.Now().Add(first)
	earliest := due.Add(-first) // the rate limit
	timer := time.NewTimer(first)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
			if earliest.Before(due) {
				due = earliest
				timer.Reset(time.Until(due))
			}
			continue
		case <-s.now:
			due = time.Now()
			timer.Reset(0)
			continue
		case <-timer.C:
		}
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
		earliest = time.Now().Add(s.gap)
		due = time.Now().Add(max(next, s.gap))
		timer.Reset(time.Until(due))
		s.announce()
	}
}

// pause is the interval, less up to a tenth: servers that were started together drift apart.
func (s *source) pause() time.Duration {
	return s.interval - rand.N(s.interval/10+1)
}

// announce wakes those who wait for a load. It comes after the end of the load is on record.
func (s *source) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.next)
	s.next = make(chan struct{})
}

// update loads and publishes once.
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
	s.loaded.Store(max(1, int64(time.Since(s.start))))
	s.asked.end(load)
	return nil
}

// tell logs which keys there are and which are not used, when that is not what it was.
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
