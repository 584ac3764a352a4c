//go:build linux

package perch

import "github.com/perchws/perch/internal/sock"

// spares are descriptors that a loop keeps open without a use. When the process is out of descriptors (EMFILE), the
// loop closes one, so that it can still accept a connection and tell it that there are too many (limits_overflow.go).
type spares struct {
	most int   // how many there should be
	open []int // descriptors of /dev/null
}

// sparesKept is the number of spares of each loop.
const sparesKept = 4

// lend closes a spare, so that one connection can be accepted. false: there is no spare.
func (p *spares) lend(k sock.Kernel) bool {
	n := len(p.open)
	if n == 0 {
		return false
	}
	k.Close(p.open[n-1])
	p.open = p.open[:n-1]
	return true
}

// replenish opens the spares that are missing, as far as descriptors are free.
func (p *spares) replenish(k sock.Kernel) {
	for len(p.open) < p.most {
		fd, e := k.Spare()
		if e != 0 {
			return
		}
		p.open = append(p.open, fd)
	}
}

// close closes the spares for good.
func (p *spares) close(k sock.Kernel) {
	p.most = 0
	for p.lend(k) {
	}
}
