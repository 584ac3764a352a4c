package ledger

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"github.com/perchws/perch/internal/limit"
)

// TestShares: n keys that all take what they get have an (n+1)th each, and one newcomer finds as much.
func TestShares(t *testing.T) {
	const total = 1 << 20
	for _, n := range []int{1, 2, 3, 10, 100} {
		a := NewAccount(total)
		for greedy := true; greedy; {
			greedy = false
			for i := range n {
				greedy = a.Take(User(strconv.Itoa(i)), 16) == nil || greedy
			}
		}
		want := int64(total / (n + 1))
		for i := range n {
			if has := a.Of(User(strconv.Itoa(i))); has < want-16*int64(n+1) || has > want+16 {
				t.Errorf("%d keys: one has %d, want about %d", n, has, want)
			}
		}
		if err := a.Take(User("newcomer"), want/3); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
	}
}

func TestFull(t *testing.T) {
	a := NewAccount(100)
	if err := a.Take(User("a"), 51); !errors.Is(err, ErrFull) {
		t.Errorf("more than half was taken: %v", err)
	}
	if err := a.Take(User("a"), 50); err != nil {
		t.Error(err)
	}
	if err := a.Take(Key{}, 51); !errors.Is(err, ErrFull) {
		t.Errorf("more than the bound was taken: %v", err)
	}
	if err := a.Take(Key{}, 50); err != nil {
		t.Error(err)
	}
	if err := a.Take(User("b"), 1); !errors.Is(err, ErrFull) {
		t.Errorf("more than the bound was taken: %v", err)
	}
	if got, want := a.Stats(), (Stats{Held: 100, Limit: 100, Keys: 1, Largest: 50, Refused: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	a.Add(User("a"), -50)
	a.Add(Key{}, -50)
	if got, want := a.Stats(), (Stats{Limit: 100, Refused: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNoLimit(t *testing.T) {
	a := NewAccount(-1)
	if err := a.Take(User("a"), 1<<60); err != nil || a.Over() {
		t.Errorf("%v, over %v", err, a.Over())
	}
}

// TestLargest: what Largest names has at least half of what the largest has, after any changes.
func TestLargest(t *testing.T) {
	a := NewAccount(1000)
	rnd := rand.New(rand.NewPCG(1, 2))
	has := make(map[Key]int64)
	for range 100_000 {
		k := User(strconv.Itoa(rnd.IntN(20)))
		n := rnd.Int64N(100)
		if rnd.IntN(2) == 0 {
			a.Add(k, n)
		} else {
			n = -min(n, has[k])
			a.Add(k, n)
		}
		if has[k] += n; has[k] == 0 {
			delete(has, k)
		}
		var most, sum int64
		for _, h := range has {
			most = max(most, h)
			sum += h
		}
		large, held := a.Largest()
		if held != has[large] || 2*held < most {
			t.Fatalf("the largest is said to be %v with %d; it has %d, and another one %d", large, held, has[large], most)
		}
		if got, want := a.Stats(), (Stats{Held: sum, Limit: 1000, Keys: len(has), Largest: held}); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		if a.Over() != (sum > 1000) {
			t.Fatalf("over %v with %d of 1000", a.Over(), sum)
		}
	}
}

// TestLargestInTurn: keys of the same size give up something one after the other.
func TestLargestInTurn(t *testing.T) {
	a := NewAccount(0)
	for i := range 3 {
		a.Add(User(strconv.Itoa(i)), 8)
	}
	for i := range 3 {
		k, n := a.Largest()
		if k != User(strconv.Itoa(i)) || n != 8 {
			t.Errorf("%d: %v with %d", i, k, n)
		}
		a.Add(k, -1)
	}
}

func TestTooMuchBack(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a key gave back more than it had, and nobody noticed")
		}
	}()
	a := NewAccount(10)
	a.Add(User("a"), 1)
	a.Add(User("a"), -2)
}

func TestKeys(t *testing.T) {
	address := func(s string) Key { return Address(limit.ShareOf(netip.MustParseAddr(s))) }
	same := [][2]Key{
		{User("a"), User("a")},
		{address("10.0.0.1"), address("::ffff:10.0.0.1")},
		{address("2001:db8::1"), address("2001:db8::2")},
		{address("::1"), address("::1")},
	}
	for _, k := range same {
		if k[0] != k[1] {
			t.Errorf("%v and %v differ", k[0], k[1])
		}
	}
	all := []Key{{}, User(""), User("a"), User("b"), address("10.0.0.1"), address("127.0.0.2"), address("2001:db8::1"),
		address("2001:db8:0:1::1"), User(string(make([]byte, 15))), Address(limit.Address{})}
	for i, k := range all {
		for _, other := range all[:i] {
			if k == other {
				t.Errorf("%v is two clients", k)
			}
		}
	}
	if got := address("10.0.0.1").String(); got != "address 0000ffff0a000001" {
		t.Error(got)
	}
}

// TestAccountAtOnce is for the race detector.
func TestAccountAtOnce(t *testing.T) {
	a := NewAccount(1 << 10)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k := User(strconv.Itoa(i % 3))
			for range 1000 {
				if a.Take(k, 10) == nil {
					a.Add(k, -10)
				}
				a.Add(k, 1)
				a.Largest()
				a.Over()
			}
			a.Add(k, -1000)
		})
	}
	all.Wait()
	if s := a.Stats(); s.Held != 0 || s.Keys != 0 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkTakeAndBack(b *testing.B) {
	a := NewAccount(1 << 30)
	a.Add(User("a"), 1000)
	b.ReportAllocs()
	for b.Loop() {
		_ = a.Take(User("a"), 100)
		a.Add(User("a"), -100)
	}
}
