// Package chat is perchd's chat (/ws/chat) and its rooms for programs (/ws/room/{room_id}): the same rooms, in
// two dialects. Messages are kept in that of the chat; a member of the other gets them translated, once for all
// such members.
//
//	svc := chat.New(chat.Config{Fixed: true})
//	engine.Rooms = svc.Rooms(room.Config{})
//	srv := perch.New(engine)
//	err := svc.Mount(srv, realm)                   // before srv.Start
//
// # Who is who
//
// A user is the subject of a token, or, without one, somebody new with a random id for each session. Messages
// carry the id, name and time that the server knows, whatever the client says. Names are taken by who has them
// first: names.go.
//
// # Resuming
//
// A session's State holds name and room. A client that resumes it has both
// again, and in the room everything that came after the offset it shows.
//
// # Goroutines
//
// Everything runs on the connections' loops, but for the check of a room's password, for which the client
// waits.
package chat
