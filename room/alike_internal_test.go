package room

import (
	"errors"
	"strings"
	"testing"
)

// lower makes labels look alike that differ only in case.
func lower(s string) []string { return []string{strings.ToLower(s), "!" + strings.ToLower(s)} }

func TestAlike(t *testing.T) {
	w := newWorld(t, 1, Config{Looks: lower})
	general := w.create("general", Options{Name: "General Chat"})
	for _, o := range []struct {
		id string
		Options
	}{
		{"General", Options{}},
		{"GENERAL CHAT", Options{}},
		{"x", Options{Name: "general chat"}},
		{"x", Options{Name: "General"}},
		{"General", Options{Private: true}},
		{"x", Options{Private: true, Name: "general"}},
	} {
		_, err := w.Create(o.id, o.Options)
		w.is(err, ErrExists, o.id)
		if alike, ok := errors.AsType[*AlikeError](err); !ok || alike.Room != general || !strings.Contains(err.Error(), `"general"`) {
			t.Errorf("%s: %v", o.id, err)
		}
	}
	_, err := w.Create("general", Options{})
	if err != ErrExists {
		t.Errorf("the same id: %v", err)
	}
	for _, s := range []string{"general", "gEnErAl", "general chat", "GENERAL CHAT"} {
		if w.Alike(s) != general {
			t.Errorf("%q is not found", s)
		}
	}
	if w.Room("General") != nil || w.Alike("chat") != nil || w.Alike("") != nil {
		t.Error("a room that does not look like it is found")
	}

	// Private rooms are not found, so that nobody learns of them.
	w.create("secret", Options{Private: true, Name: "The Plot"})
	for _, id := range []string{"Secret", "the plot"} {
		if w.Alike(id) != nil {
			t.Errorf("%q is found", id)
		}
		w.create(id, Options{})
	}
	_, err = w.Create("THE PLOT", Options{Private: true})
	w.is(err, ErrExists, "a private room like a public one")

	// The looks of a deleted room are free again.
	w.is(w.Delete(general, ""), nil, "Delete")
	if w.Alike("General") != nil {
		t.Error("a deleted room is found")
	}
	w.create("General", Options{})
	for _, r := range w.Rooms() {
		w.is(w.Delete(r, ""), nil, "Delete")
	}
	if len(w.alike) != 0 {
		t.Errorf("%d looks are left behind", len(w.alike))
	}
}

// Without Looks only ids tell rooms apart.
func TestAlikeAllowed(t *testing.T) {
	w := newWorld(t, 1, Config{})
	w.create("general", Options{Name: "General"})
	w.create("General", Options{Name: "General"})
	if w.Alike("general") != nil {
		t.Error("a room is found by its looks")
	}
}

// Of many calls that make rooms which look alike one succeeds.
func TestAlikeRace(t *testing.T) {
	w := newWorld(t, 1, Config{Looks: lower})
	made := make(chan error)
	for _, id := range []string{"tea", "Tea", "TEA", "tEa"} {
		go func() {
			_, err := w.Create(id, Options{})
			made <- err
		}()
	}
	n := 0
	for range 4 {
		if err := <-made; err == nil {
			n++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if n != 1 || len(w.Rooms()) != 1 {
		t.Errorf("%d made", n)
	}
}
