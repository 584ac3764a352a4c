//go:build linux && race

package outbox

import "testing"

// TestRulesAreAsserted: in race builds whoever breaks a rule of a Box is stopped.
func TestRulesAreAsserted(t *testing.T) {
	for name, f := range map[string]func(m *model){
		"half a frame is shared": func(m *model) { m.out.Share([]byte{0x82, 5, 1}, &m.bufs) },
		"half a frame is copied": func(m *model) { m.out.Commit(append(m.out.Extend(3, &m.bufs), 0x82, 5, 1)) },
		"half a pong":            func(m *model) { m.out.Pong([]byte{0x8A, 5, 1}) },
		"half a ping":            func(m *model) { m.out.Ping([]byte{0x89, 5, 1}) },
		"a remainder that ends within a frame": func(m *model) {
			m.out.Remainder([]byte{0x82, 1, 7, 0x82, 5, 1}, 0, 1, &m.bufs)
		},
		"a remainder behind other bytes": func(m *model) {
			m.shared(3)
			m.out.Remainder([]byte{0x82, 1, 7}, 0, 1, &m.bufs)
		},
		"raw bytes behind a frame": func(m *model) {
			m.shared(3)
			m.out.ShareRaw([]byte("HTTP"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nobody has noticed")
				}
			}()
			f(new(model))
		})
	}
}
