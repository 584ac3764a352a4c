package main

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestRoom(t *testing.T) {
	var ended []int
	r := newRoom(func(c int) { ended = append(ended, c) })
	got := func() (all []int) {
		r.publish(func(c int) error {
			all = append(all, c)
			if c == 3 {
				return errors.New("gone")
			}
			return nil
		})
		slices.Sort(all)
		return all
	}
	for c := range 5 {
		r.join(c)
	}
	if all := got(); !slices.Equal(all, []int{0, 1, 2, 3, 4}) {
		t.Errorf("members %v", all)
	}
	if !slices.Equal(ended, []int{3}) {
		t.Errorf("ended %v, want the one that cannot be written to", ended)
	}
	for _, c := range []int{0, 3, 4, 4, 7} { // first, middle, last, twice, never there
		r.leave(c)
	}
	if all := got(); !slices.Equal(all, []int{1, 2}) {
		t.Errorf("members %v", all)
	}
	r.join(9)
	if all := got(); !slices.Equal(all, []int{1, 2, 9}) {
		t.Errorf("members %v", all)
	}
}

// TestRoomStall: a write that does not end is ended, and those after it take place.
func TestRoomStall(t *testing.T) {
	stalled := make(chan struct{})
	r := newRoomWith(100*time.Millisecond, func(c int) {
		if c == 1 {
			close(stalled)
		}
	})
	var written []int
	for c := range 3 {
		r.join(c)
	}
	r.publish(func(c int) error {
		if c == 1 {
			select {
			case <-stalled:
			case <-time.After(10 * time.Second):
				t.Error("nobody ended the write")
			}
		}
		written = append(written, c)
		return nil
	})
	if len(written) != 3 {
		t.Errorf("written to %v", written)
	}
}
