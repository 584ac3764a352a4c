package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// page answers scrapes. One is made at a time, because it waits for every event loop; all that come until
// it begins get the same, so that many who ask cost no more than one, and none is refused. To make them takes at most
// one part in scrapeRest of a processor's time: those who ask for more get the one before.
type page struct {
	make  http.Handler
	clock clock.Clock

	turn sync.Mutex // of who makes one
	last *scrape    // made; nil: none was
	paid int64      // when what the scrapes have taken is made good

	mu   sync.Mutex
	next *scrape // not begun
}

// Of scrapes that come quickly one after the other some are made at once, then one in scrapeRest times as long as they
// take.
const (
	scrapeRest  = 20
	scrapeAhead = 2 * time.Second
)

// scrape is one answer, for all who wait for it.
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
	_, _ = w.Write(s.body.Bytes()) // an error is the client's
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
		p.next = nil // whoever comes now asks about later
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
