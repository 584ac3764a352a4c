package room

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// AlikeError names the public room that a new one looks like. It is an ErrExists.
type AlikeError struct{ Room *Room }

func (e *AlikeError) Error() string {
	return fmt.Sprintf("room: exists already: room %q looks alike", e.Room.id)
}

// Unwrap returns ErrExists.
func (e *AlikeError) Unwrap() error { return ErrExists }

// Alike returns the public room whose id or name looks like s, by Config.Looks; nil: there is none.
func (h *Hub) Alike(s string) *Room {
	looks := h.looks(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alikeLocked(looks)
}

func (h *Hub) alikeLocked(looks []uint64) *Room {
	for _, l := range looks {
		if r := h.alike[l]; r != nil {
			return r
		}
	}
	return nil
}

// looks returns the places of labels in Hub.alike, each once, in order.
func (h *Hub) looks(labels ...string) (places []uint64) {
	if h.cfg.Looks == nil {
		return nil
	}
	for _, s := range labels {
		for _, look := range h.cfg.Looks(s) {
			if l := maphash.String(h.seed, look); !slices.Contains(places, l) {
				places = append(places, l)
			}
		}
	}
	return places
}
