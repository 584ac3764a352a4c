//go:build linux

package perch

import "github.com/perchws/perch/internal/sock"

// spares are descriptors that a loop keeps open for nothing. When the process is out of descriptors (EMFILE), one is
// closed, so that a connection can be accepted all the same, and be told that there are too many (limits_overflow.go).
type spares struct {
	most int   // how many there ought to be
	open []int // descriptors of /dev/null
}

// sparesKept is how many a loop has.
const sparesKept = 4

// lend closes a spare, so that one connection can be accepted. false: there is none.
func (p *spares) lend(k sock.Kernel) bool {
	n := len(p.open)
	if n == 0 {
		return false
	}
	k.Close(p.open[n-1])
	p.open = p.open[:n-1]
	return true
}

// replenish opens the spares that are missing, as far as there are descriptors.
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
