package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/wstest"
)

// TestPageIsShared: requests that come while a page is made share the next one. No request gets a page that was begun
// before it came.
func TestPageIsShared(t *testing.T) {
	var made atomic.Int32
	begun, release := make(chan bool), make(chan bool)
	p := &page{clock: clock.NewManual(time.Unix(0, 0)), make: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := made.Add(1)
		begun <- true
		<-release
		w.Header().Set("X-Made", "yes")
		fmt.Fprint(w, n)
	})}
	bodies := make(chan string, 10)
	ask := func() {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != 200 || w.Header().Get("X-Made") != "yes" || w.Header().Get("Content-Length") != "1" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		bodies <- w.Body.String()
	}
	go ask()
	wstest.Receive(t, "the first", begun)
	const more = 5
	joined := make(chan bool, more)
	for range more {
		go func() {
			joined <- true
			ask()
		}()
	}
	for range more {
		<-joined
	}
	wstest.Eventually(t, "they wait", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.next != nil
	})
	release <- true
	if got := wstest.Receive(t, "the first answer", bodies); got != "1" {
		t.Errorf("the first got %s", got)
	}
	for n := 0; n < more; {
		select {
		case <-begun:
			release <- true
		case got := <-bodies:
			if n++; got == "1" {
				t.Error("a request got a page that was begun before it came")
			}
		}
	}
	if n := made.Load(); n > 1+more {
		t.Errorf("%d made", n)
	}
	go ask()
	<-begun
	release <- true
	if got := <-bodies; got == "1" {
		t.Errorf("later: %s", got)
	}
}

// TestPageRests: a client that asks without a pause mostly gets the last page again, and the processor rests.
func TestPageRests(t *testing.T) {
	c := clock.NewManual(time.Unix(0, 0))
	const took = 50 * time.Millisecond
	made := 0
	p := &page{clock: c, make: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		made++
		c.Advance(took)
		fmt.Fprint(w, made)
	})}
	ask := func() string {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	for start := c.Now(); c.Now()-start < int64(time.Minute); c.Advance(time.Millisecond) {
		ask()
	}
	if busy := time.Duration(made) * took; busy > 4*time.Second || busy < 2*time.Second {
		t.Errorf("pages were made for %v of a minute", busy)
	}
	c.Advance(10 * time.Second)
	for range 2 { // from time to time the page is always new
		n := made
		if got, want := ask(), fmt.Sprint(n+1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
