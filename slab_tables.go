//go:build linux

package perch

import (
	"net/netip"
	"sync"

	"github.com/perchws/perch/internal/beside"
	"github.com/perchws/perch/internal/limit"
)

// tables are rare facts about connections, by slot. A connection without a fact costs nothing for it, but
// that pages are shared with neighbours (beside.PageSize). A fact is set by the loop, and ends with the
// connection at the latest (forget), before its slot's generation changes.
type tables struct {
	rates   beside.Table[limit.Used]     // of input; as good as none soon after the last message
	counted beside.Table[limit.Address]  // the address that a connection is counted for
	proxied beside.Table[netip.AddrPort] // the client, as a PROXY header says
	windows beside.Table[windows]        // of compression with contexts
	tls     beside.Table[*tlsConn]       // TLS sides
	values  values                       // of the application
	posted  beside.Counters              // bytes on their way to a connection. Any goroutine
}

// forget ends all facts about slot i but posted, which ends when the posts are carried out.
func (t *tables) forget(i uint32) {
	t.rates.Clear(i)
	t.counted.Clear(i)
	t.proxied.Clear(i)
	t.windows.Clear(i)
	t.tls.Clear(i)
	t.values.set(i, nil)
}

// trim gives back pages whose facts have ended.
func (t *tables) trim(now int64) {
	t.rates.Trim(func(u *limit.Used) bool { return u.Idle(now) })
	t.counted.Trim(nil)
	t.proxied.Trim(nil)
	t.windows.Trim(nil)
	t.tls.Trim(nil)
	t.values.mu.Lock()
	defer t.values.mu.Unlock()
	t.values.table.Trim(nil)
}

// values are the user values of connections. The loop writes them, with mu locked, and reads them without;
// other goroutines read them with mu locked.
type values struct {
	mu    sync.Mutex
	table beside.Table[any]
}

// get is for the loop.
func (v *values) get(i uint32) any { return v.table.Get(i) }

// set is for the loop.
func (v *values) set(i uint32, value any) {
	if value == nil && v.table.Find(i) == nil {
		return
	}
	v.mu.Lock()
	v.table.Set(i, value)
	v.mu.Unlock()
}

// foreignValue is the user value of slot i for other goroutines: nil if gen is over.
func (t *slab) foreignValue(i, gen uint32) any {
	t.values.mu.Lock()
	defer t.values.mu.Unlock()
	s := t.find(i)
	if s == nil || s.gen.Load() != gen {
		return nil
	}
	return t.values.get(i)
}
