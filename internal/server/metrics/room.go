package metrics

import "github.com/perchws/perch/room"

func roomMetrics() []metric[room.Stats] {
	type S = room.Stats
	return []metric[S]{
		gauge("perch_rooms", "Rooms.", func(s *S) float64 { return float64(s.Rooms) }),
		gauge("perch_rooms_active", "Rooms with members.", func(s *S) float64 { return float64(s.Active) }),
		gauge("perch_users", "Users signed in, each counted once however often connected.", func(s *S) float64 { return float64(s.Users) }),
		gauge("perch_room_history_bytes", "History of all rooms.", func(s *S) float64 { return float64(s.HistoryBytes) }),
		counter("perch_room_messages_published_total", "Messages that were given an offset in a room.",
			func(s *S) uint64 { return s.Published }),
		counter("perch_room_deliveries_total", "Messages, presence and typing queued for a connection, each receiver counted.",
			func(s *S) uint64 { return s.Delivered }),
		counter("perch_room_shed_total", "Presence and typing left out for connections that did not keep up, each receiver counted.",
			func(s *S) uint64 { return s.Shed }),
		counter("perch_room_invalid_total", "Notices about members that the program has made and that are not fit to be sent.",
			func(s *S) uint64 { return s.Invalid }),
	}
}
