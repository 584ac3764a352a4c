package abuse

import (
	"context"
	"fmt"
	"time"
)

// manyRooms is B7: as many rooms as there may be, and clients that want to see the list.
func manyRooms() Scenario {
	const makers, askers, addresses, each = 400, 10, 20, 10
	return Scenario{
		Name: "B7", What: "clients of 20 addresses make rooms as fast as they may, ten ask for the list, ten scrape /metrics",
		Proxied: true,
		Time:    40 * time.Second, Short: 5 * time.Second,
		Holds: 128 * mib, Keeps: 128 * mib, // 100,000 rooms
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, makers+2*askers, func(ctx context.Context, i int) error {
				from := a.from(i, addresses)
				switch {
				case i >= makers+askers:
					_, err := get(from, a.Addr, "/metrics")
					a.count("scrapes", 1)
					return err
				case i >= makers:
					return a.lists(ctx, from)
				}
				return a.makes(ctx, from, i, each)
			})
		},
	}
}

// makes makes as many rooms as one connection may in a minute.
func (a *Attacker) makes(ctx context.Context, from source, i, each int) error {
	s, err := open(from, a.Addr, "/ws/chat", "")
	if err != nil {
		return err
	}
	defer closeWith(ctx, s)()
	var all []string
	for n := range each {
		all = append(all, fmt.Sprintf(`{"type":"join_room","room_id":"r%d.%d.%d"}`, i, time.Now().UnixNano(), n))
	}
	if err := s.send(append([]string{`{}`}, all...)...); err != nil {
		return err
	}
	for range each + 1 { // the first one is general
		if _, _, err := s.await("room_joined"); err != nil {
			return err
		}
		a.count("rooms", 1)
	}
	return nil
}

// lists asks for the list of rooms, as often as a client may.
func (a *Attacker) lists(ctx context.Context, from source) error {
	s, _, err := chat(from, a.Addr, "general", "")
	if err != nil {
		return err
	}
	defer closeWith(ctx, s)()
	for ctx.Err() == nil {
		if err := s.send(`{"type":"list_rooms"}`); err != nil {
			return err
		}
		if _, _, err := s.await("room_list"); err != nil {
			return err
		}
		a.count("lists", 1)
		pause(ctx, time.Second/95)
	}
	return nil
}
