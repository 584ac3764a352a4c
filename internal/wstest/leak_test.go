package wstest

import (
	"os"
	"strings"
	"testing"
)

func TestLeaksAreSeen(t *testing.T) {
	before := snapshot()
	if leaks := before.wait(leakWait); leaks != "" {
		t.Fatalf("nothing was left behind, but:\n%s", leaks)
	}

	stop := make(chan struct{})
	go leaker(stop)
	stop <- struct{}{} // it runs
	if leaks := before.wait(0); !strings.Contains(leaks, "wstest.leaker") {
		t.Errorf("a goroutine was left behind, seen: %q", leaks)
	}
	close(stop)

	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if leaks := before.wait(0); !strings.Contains(leaks, os.DevNull) {
		t.Errorf("a descriptor was left behind, seen: %q", leaks)
	}
	f.Close()
	if leaks := before.wait(leakWait); leaks != "" {
		t.Errorf("nothing is left behind any more, but:\n%s", leaks)
	}
}

func leaker(stop chan struct{}) {
	for range stop {
	}
}

func TestNoLeaks(t *testing.T) {
	NoLeaks(t)
	pair(t)
}

func TestReceive(t *testing.T) {
	ch := make(chan int, 1)
	ch <- 7
	if v := Receive(t, "seven", ch); v != 7 {
		t.Error(v)
	}
	n := 0
	Eventually(t, "n is 3", func() bool { n++; return n == 3 })
}
