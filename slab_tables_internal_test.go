//go:build linux

package perch

import (
	"net/netip"
	"testing"
	"time"

	"github.com/perchws/perch/frame/deflate"
	"github.com/perchws/perch/internal/beside"
	"github.com/perchws/perch/internal/limit"
)

// trims is enough calls of trim to look at every page.
const trims = 64

// pages is how many pages the side tables of a slab have.
func (t *tables) pages() int {
	return t.rates.Pages() + t.counted.Pages() + t.proxied.Pages() + t.windows.Pages() + t.tls.Pages() + t.values.table.Pages()
}

// TestTablesForget: every fact ends with its connection, and pages without a fact are given back.
func TestTablesForget(t *testing.T) {
	const n = 5 * beside.PageSize
	tab := newSlab(n)
	traffic := limit.NewTraffic(1, 1, 1)
	if tab.forget(7); tab.pages() != 0 {
		t.Fatalf("%d pages without a fact", tab.pages())
	}
	for i := range uint32(n) {
		traffic.Message(tab.rates.At(i), 1)
		tab.counted.Set(i, limit.Address{1})
		tab.proxied.Set(i, netip.MustParseAddrPort("192.0.2.1:5"))
		tab.windows.Set(i, windows{in: deflate.NewWindow(9)})
		tab.tls.Set(i, new(tlsConn))
		tab.values.set(i, i)
	}
	for i := range uint32(n) {
		if i == 3 {
			continue
		}
		tab.forget(i)
		if tab.rates.Get(i) != (limit.Used{}) || tab.counted.Get(i) != (limit.Address{}) || tab.proxied.Get(i).IsValid() ||
			tab.windows.Get(i) != (windows{}) || tab.tls.Get(i) != nil || tab.values.get(i) != nil {
			t.Fatalf("slot %d has a fact of the connection before", i)
		}
	}
	for range trims {
		tab.trim(1)
	}
	if n := tab.pages(); n != 6 || tab.values.get(3) != any(uint32(3)) {
		t.Errorf("%d pages for the facts of one connection, want one of each table; value %v", n, tab.values.get(3))
	}
	for range trims {
		tab.trim(int64(time.Hour))
	}
	if tab.rates.Pages() != 0 {
		t.Error("a rate that is as good as unused is kept")
	}
}
