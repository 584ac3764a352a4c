//go:build race

package wire

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// calls are those under way.
type calls struct{ count atomic.Int32 }

func (c *calls) begin() { c.count.Add(1) }
func (c *calls) end()   { c.count.Add(-1) }

// none panics if a call is under way, or if the life to does not follow from.
func (c *calls) none(from, to life) {
	if !slices.Contains(mayFollow[from], to) {
		panic(fmt.Sprintf("wire: it is %v, and cannot be %v next", from, to))
	}
	if n := c.count.Load(); n != 0 {
		panic(fmt.Sprintf("wire: %d calls are under way, and it is to be %v", n, to))
	}
}

var lifeNames = [...]string{"unused", "in a handshake", "on a loop", "on a socket"}

// String names the life.
func (l life) String() string { return lifeNames[l] }

// mayFollow has, for every life, those that may come next.
var mayFollow = [...][]life{
	unused:      {inHandshake, onSocket},
	inHandshake: {onLoop},
	onLoop:      {onSocket},
	onSocket:    {onLoop},
}
