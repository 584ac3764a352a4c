//go:build race

package room

import "testing"

func TestOrderIsAsserted(t *testing.T) {
	r := &Room{id: "a"}
	first, second := &Delivery{room: r, serial: r.serial.next()}, &Delivery{room: r, serial: r.serial.next()}
	var loop serial
	loop.passed(first)
	loop.passed(second)
	defer func() {
		if recover() == nil {
			t.Error("a delivery that is carried out again, behind a later one, is not noticed")
		}
	}()
	loop.passed(first)
}
