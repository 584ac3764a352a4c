package chat

import "github.com/perchws/perch/room"

// users are the users that are connected. Any goroutine may call the methods.
type users interface {
	// online calls each for at most so many users that are connected, in no order, and returns how many there are in
	// all. It does not wait: the list may be slightly out of date.
	online(most int, each func(id, name string)) (all int)
}

// localUsers are the users connected to this process.
type localUsers struct{ hub *room.Hub }

func (l localUsers) online(most int, each func(id, name string)) (all int) {
	return l.hub.Users(most, func(u *room.User) { each(u.ID(), u.Name()) })
}
