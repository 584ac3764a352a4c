// Package beside has tables for facts that few entries of a large table have. Such a fact
// stands beside the table, under the same index, and costs nothing for entries without it.
package beside

// PageSize is how many neighbouring entries share a page: a page is made for all of them
// when one has a value. Values of 8, 16, 24 or 32 bytes fill a size class of Go's allocator.
const PageSize = 256

// trimCalls is in how many calls Trim goes through the whole table.
const trimCalls = 64

// Table holds a T for every index. The zero Table is empty: every value is the zero T.
// An index without a page costs 8 bytes for each PageSize of them, and an index with one
// the size of T.
//
// A Table has one owner: all calls come from one goroutine, or under one mutex. The owner may
// read without the mutex, if nobody else writes.
type Table[T comparable] struct {
	pages []*[PageSize]T // nil: all of them are zero
	hand  int            // where Trim goes on
}

// Get returns the value of i.
func (t *Table[T]) Get(i uint32) (v T) {
	if at := t.Find(i); at != nil {
		v = *at
	}
	return v
}

// Set makes v the value of i. It makes no page for a zero v.
func (t *Table[T]) Set(i uint32, v T) {
	var zero T
	if at := t.Find(i); at != nil {
		*at = v
	} else if v != zero {
		*t.grow(i) = v
	}
}

// Clear makes the value of i zero.
func (t *Table[T]) Clear(i uint32) {
	var zero T
	t.Set(i, zero)
}

// At returns the place of i's value, to be read and changed until the next call of Trim.
// It makes the page.
func (t *Table[T]) At(i uint32) *T {
	if at := t.Find(i); at != nil {
		return at
	}
	return t.grow(i)
}

// Find is At for a value that may not be there: it returns nil where there is no page, and makes none.
func (t *Table[T]) Find(i uint32) *T {
	if p := i / PageSize; int(p) < len(t.pages) && t.pages[p] != nil {
		return &t.pages[p][i%PageSize]
	}
	return nil
}

// grow makes the page of i and returns the place of its value.
func (t *Table[T]) grow(i uint32) *T {
	p := int(i / PageSize)
	if p >= len(t.pages) {
		t.pages = append(t.pages, make([]*[PageSize]T, p+1-len(t.pages))...)
	}
	t.pages[p] = new([PageSize]T)
	return &t.pages[p][i%PageSize]
}

// Len returns a bound: values of this index and above are zero.
func (t *Table[T]) Len() uint32 { return uint32(len(t.pages)) * PageSize }

// Pages returns how many pages there are.
func (t *Table[T]) Pages() (n int) {
	for _, p := range t.pages {
		if p != nil {
			n++
		}
	}
	return n
}

// Trim gives pages back to the collector. It looks at a part of them: 64 calls go through the
// whole table. A page is given back if blank reports true for each of its values, which are
// then zero; nil stands for "is zero". Values are read in order up to the first that is not blank,
// so a page in use costs little.
func (t *Table[T]) Trim(blank func(v *T) bool) {
	for range (len(t.pages) + trimCalls - 1) / trimCalls {
		if t.hand >= len(t.pages) {
			t.hand = 0
		}
		if p := t.pages[t.hand]; p != nil && isBlank(p, blank) {
			t.pages[t.hand] = nil
		}
		t.hand++
	}
	for n := len(t.pages); n > 0 && t.pages[n-1] == nil; n-- {
		t.pages = t.pages[:n-1]
	}
	if len(t.pages) == 0 {
		t.pages = nil
	}
}

// isBlank reports whether a page may be given back.
func isBlank[T comparable](p *[PageSize]T, blank func(v *T) bool) bool {
	var zero T
	for i := range p {
		if blank == nil && p[i] != zero || blank != nil && !blank(&p[i]) {
			return false
		}
	}
	return true
}
