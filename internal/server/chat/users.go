package chat

import "github.com/perchws/perch/room"

// users are the people that are connected. Any goroutine.
type users interface {
	// online calls each for users that are connected, at most so many, in no order, and returns how many
	// there are in all. It does not wait: a list that is a little old will do.
	online(most int, each func(id, name string)) (all int)
}

// localUsers are those of this process.
type localUsers struct{ hub *room.Hub }

func (l localUsers) online(most int, each func(id, name string)) (all int) {
	return l.hub.Users(most, func(u *room.User) { each(u.ID(), u.Name()) })
}
