package room

// Audience makes a room that nobody finds: it has no id, it is in no list and no number of [Stats]. Rooms of a
// connection leaves it out, though it counts for Config.MaxRoomsPerMember. Connections that join it get the messages
// that are sent with Send. They are not told of others who come and go, and no message is kept. Publish and
// Hub.Delete return ErrNotFound.
func (h *Hub) Audience() *Room {
	r := &Room{hub: h, created: h.cfg.Now(), topic: noOrder{}, audience: true}
	r.settings.Store(&settings{created: r.created})
	return r
}

// noOrder is the Topic of an audience.
type noOrder struct{}

func (noOrder) Publish(p Publication) { p.Settle(Outcome{Err: ErrNotFound}) }
func (noOrder) Close(Ending, string)  {}
