package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// page answers scrapes. One is made at a time, because it waits for every event loop. All requests that come before
// it begins get the same one, so that many cost no more than one, and none is refused. Making pages takes at most one
// part in scrapeRest of a processor's time: requests beyond that get the last page again.
type page struct {
	make  http.Handler
	clock clock.Clock

	turn sync.Mutex // held by the request that makes a page
	last *scrape    // the last page; nil: there was none
	paid int64      // the time from which the work of earlier pages is paid for

	mu   sync.Mutex
	next *scrape // the next page, not begun
}

// When scrapes come quickly, a page is made for each until they have run scrapeAhead into debt. After that, there is
// one page in scrapeRest times as long as it takes to make one.
const (
	scrapeRest  = 20
	scrapeAhead = 2 * time.Second
)

// scrape is one page, for all requests that wait for it.
type scrape struct {
	made   bool // under page.turn
	header http.Header
	status int
	body   bytes.Buffer
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := p.scrape()
	for name, values := range s.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(s.body.Len()))
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body.Bytes()) // an error is the client's problem
}

func (p *page) scrape() *scrape {
	p.mu.Lock()
	if p.next == nil {
		p.next = &scrape{header: make(http.Header), status: http.StatusOK}
	}
	s := p.next
	p.mu.Unlock()

	p.turn.Lock()
	defer p.turn.Unlock()
	if !s.made {
		begun := p.clock.Now()
		if p.last != nil && p.paid-begun > int64(scrapeAhead) {
			return p.last
		}
		p.mu.Lock()
		p.next = nil // later requests must get a later page
		p.mu.Unlock()
		s.made = true
		p.make.ServeHTTP(s, &http.Request{Method: http.MethodGet, Header: make(http.Header)})
		p.last, p.paid = s, max(p.paid, begun)+scrapeRest*(p.clock.Now()-begun)
	}
	return s
}

// Header implements http.ResponseWriter.
func (s *scrape) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *scrape) WriteHeader(status int) { s.status = status }

// Write implements http.ResponseWriter.
func (s *scrape) Write(p []byte) (int, error) { return s.body.Write(p) }
