// Package room brings messages to many connections. It has rooms, each with members, one total order and a history,
// and the users to whom the connections belong.
//
//	hub := srv.Rooms()                                   // srv: *perch.Server
//	r, err := hub.Create("general", room.Options{})
//	j, err := c.Join(r, room.JoinOptions{Recent: 50})    // c: perch.Conn, in a callback
//	r.Publish(room.Message{Payload: p}, nil)             // any goroutine
//
// # How a message travels
//
// A publish is given its place by the [Broker], is encoded once, and under the room's short lock goes into the
// history and to every event loop that has members: one post a loop. Each loop walks its own members ([Shards]) and
// queues the same bytes for each. All messages queued in one turn of the loop leave in one write per connection.
// There is no goroutine and no channel per room.
//
// # Order
//
// All members of a room see its messages in the order of their offsets. A join takes membership and the history under
// the same lock, and takes effect on the loop behind all messages that were published before it: exactly the messages
// that the answer to the join does not have are delivered. Offsets belong to an epoch, see [Position].
//
// # Limits
//
// Each limit has its field in [Config]. A publish is refused while too many are under way (ErrQueueFull). The engine
// deals with a member that does not read: typing is left out first, then presence ([Class]), then the member is
// closed. The others do not notice.
//
// # How long a room lives
//
// A room that [Hub.Create] made is there until [Hub.Delete], empty or not, and its history with it. With a TTL in
// [Options] it is deleted when it was empty for so long. A deleted Room does not come back: its methods return
// ErrNotFound.
//
// # Which goroutine may call
//
// Any goroutine may call the methods of [Hub], [Room] and [User]. Shards and Cursor are for the engine, on the loop.
// Hash and Unlock take long and are not for event loops. The functions of Config are called with locks held, as their
// comments say.
package room
