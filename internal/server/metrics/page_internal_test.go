package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch/internal/wstest"
)

// TestPageIsShared: those who come while one is made get the next, all the same one, and never one that
// was begun before they came.
func TestPageIsShared(t *testing.T) {
	var made atomic.Int32
	begun, release := make(chan bool), make(chan bool)
	p := &page{make: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
				t.Error("one got what was begun before it came")
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
