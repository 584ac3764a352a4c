// Package room brings messages to many connections: rooms with members, one
// total order and a history each, and the users whose connections the members
// are.
//
//	hub := srv.Rooms()                                   // srv: *perch.Server
//	r, err := hub.Create("general", room.Options{})
//	j, err := c.Join(r, room.JoinOptions{Recent: 50})    // c: perch.Conn, in a callback
//	r.Publish(room.Message{Payload: p}, nil)             // any goroutine
//
// # How a message travels
//
// A publish is given its place by the [Broker], is encoded once, and under the
// room's short lock goes into the history and to every event loop that has
// members: one post a loop. Each loop walks its own members ([Shards]) and queues
// the same bytes for each; all that is queued in one turn of the loop leaves in
// one write per connection. No goroutine and no channel per room.
//
// # Order
//
// All members of a room see its messages in the order of their offsets. A join
// takes membership and the history under the same lock, and takes effect on the
// loop behind all that was published before it: messages that the answer to a
// join does not have are delivered, and no others. Offsets belong to an epoch,
// see [Position].
//
// # Limits
//
// Each has its field in [Config]. A publish is refused while as many are under
// way (ErrQueueFull). The engine deals with a member that does not read: typing
// is left out first, then presence ([Class]), then it is closed. The others do
// not notice.
//
// # How long a room lives
//
// What [Hub.Create] returned is there until [Hub.Delete], empty or not, and its
// history with it. With [Options] TTL it is deleted when it was empty for so long.
// A deleted Room does not come back: its methods return ErrNotFound.
//
// # Which goroutine may call
//
// Methods of [Hub], [Room] and [User] may be called by any. Shards and Cursor are
// the engine's, on the loop. Hash and Unlock take their time and are not for
// event loops. The functions of Config are called with locks held, as said
// there.
package room
