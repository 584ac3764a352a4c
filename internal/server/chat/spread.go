package chat

import (
	"time"

	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

const (
	spreadRate = 500 // users a second that are asked to come back: half of what a server accepts by default
	spreadMost = 2 * time.Minute
)

// Spread tells every user when to come back, before all of them are closed at once. The times differ, so that the
// next server is not overrun. Any goroutine may call it.
func (s *Service) Spread(reason string) {
	var all []*room.User
	n := s.hub.Users(int(^uint(0)>>1), func(u *room.User) { all = append(all, u) })
	over := min(max(time.Duration(n)*time.Second/spreadRate, time.Second), spreadMost)
	for _, u := range all {
		f := both(protocol.NewObject(nil, protocol.TypeReconnect).
			Int("delay_ms", int64(entropy.IntN(s.cfg.Entropy, int(over.Milliseconds())))).String("reason", reason).End())
		for _, m := range s.hub.Connections(u) { // those on other nodes stay
			_ = s.hub.SendMember(m, f)
		}
	}
}
