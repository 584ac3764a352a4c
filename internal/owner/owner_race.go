//go:build race

package owner

import (
	"fmt"
	"sync/atomic"
	"syscall"
)

// Enabled reports that ownership is checked: in race builds.
const Enabled = true

// Owner is a thread that owns something.
type Owner struct{ tid atomic.Int64 }

// Claim makes the calling thread the owner. Its goroutine must be locked to it.
func (o *Owner) Claim() { o.tid.Store(int64(syscall.Gettid())) }

// Check panics if the caller does not run on the owner's thread. Before the
// first Claim anybody may: the owner is still being built.
func (o *Owner) Check() {
	if want, tid := o.tid.Load(), int64(syscall.Gettid()); want != 0 && want != tid {
		panic(fmt.Sprintf("owned by thread %d, used by thread %d", want, tid))
	}
}
