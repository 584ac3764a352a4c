// Package chat is perchd's chat (/ws/chat) and its rooms for programs (/ws/room/{room_id}). They are the same rooms,
// in two dialects. Messages are kept in the dialect of the chat, and translated once for all members of the other.
//
//	svc := chat.New(chat.Config{Fixed: true})
//	engine.Rooms = svc.Rooms(room.Config{})
//	srv := perch.New(engine)
//	err := svc.Mount(srv, realm)                   // before srv.Start
//
// # Users
//
// A user is the subject of a token, or, without a token, a new user with a random id for each session. Messages carry
// the id, name and time that the server knows, whatever the client sends. A name belongs to the first user that takes
// it: names.go.
//
// # Resuming
//
// A session's State holds name and room. A client that resumes it has both again, and gets the messages of the room
// after the offset that it sends.
//
// # Goroutines
//
// Everything runs on the connections' loops, except the check of a room's password, for which the client waits.
package chat
