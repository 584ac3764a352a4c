package suite

import (
	"os"
	"testing"
	"time"
)

func TestOthers(t *testing.T) {
	at := time.Now()
	before := load{at: at, machine: 10 * time.Second, server: time.Second, children: time.Second}
	for want, after := range map[float64]load{
		0.5: {at: at.Add(2 * time.Second), machine: 14 * time.Second, server: 3 * time.Second, children: 2 * time.Second},
		// steps of a tick
		0: {at: at.Add(2 * time.Second), machine: 12 * time.Second, server: 3 * time.Second, children: 2 * time.Second},
	} {
		if got := after.others(before); got != want {
			t.Errorf("%v cores, want %v", got, want)
		}
	}
	if got := before.others(before); got != 0 {
		t.Errorf("%v cores in no time", got)
	}
	l := readLoad(os.Getpid())
	if l.machine <= 0 || l.server <= 0 {
		t.Errorf("load %+v", l)
	}
}
