package protocol

// Types of messages: the values of "type". Those of several endpoints come first.
const (
	TypeError          = "error"
	TypePing           = "ping"
	TypePong           = "pong"
	TypeRefreshToken   = "refresh_token"
	TypeTokenRefreshed = "token_refreshed"
	TypeResume         = "resume"
	TypeConnected      = "connected"
	TypeAck            = "ack"
	TypeChatMessage    = "chat_message"
	TypeReconnect      = "reconnect"
	TypeRoomJoined     = "room_joined"
	TypeRoomLeft       = "room_left"
	TypeRoomClosed     = "room_closed"
	TypeUserTyping     = "user_typing"
	TypePresence       = "presence"

	// /ws/chat
	TypeJoinRoom      = "join_room"
	TypeLeaveRoom     = "leave_room"
	TypeListRooms     = "list_rooms"
	TypeListUsers     = "list_users"
	TypeHistory       = "history"
	TypeDeleteRoom    = "delete_room"
	TypeTyping        = "typing"
	TypeInit          = "init"
	TypeMessage       = "message"
	TypeMessageSent   = "message_sent"
	TypeSystemMessage = "system_message"
	TypeUserStatus    = "user_status"
	TypeUserList      = "user_list"
	TypeRooms         = "rooms"

	// /ws/room/{room_id}
	TypeJoin        = "join"
	TypeLeave       = "leave"
	TypeDelete      = "delete"
	TypeList        = "list"
	TypeRoomInfo    = "room_info"
	TypeRoomList    = "room_list"
	TypeRoomDeleted = "room_deleted"
	TypeUserJoined  = "user_joined"
	TypeUserLeft    = "user_left"

	// /ws/with-session
	TypeGetSession     = "get_session"
	TypeUpdateSession  = "update_session"
	TypeLogout         = "logout"
	TypeSessionCreated = "session_created"
	TypeSessionData    = "session_data"
	TypeSessionUpdated = "session_updated"
	TypeLoggedOut      = "logged_out"

	// /ws/reliable
	TypeReconnectRequest = "reconnect_request"
	TypeReconnectAck     = "reconnect_ack"
	TypeHealth           = "health"

	// /ws/safe
	TypeDangerous = "dangerous"
	TypeProcessed = "processed"

	// /ws/{client_id}
	TypeChat         = "chat"
	TypeSubscribe    = "subscribe"
	TypeSubscribed   = "subscribed"
	TypeUnsubscribe  = "unsubscribe"
	TypeUnsubscribed = "unsubscribed"
)

// An Endpoint describes the messages of one WebSocket path.
type Endpoint struct {
	Path    string   // the pattern of the route
	Accepts []string // types that clients send
	Any     bool     // all other types are accepted too, and get one kind of answer
	Sends   []string // types that the server sends
}

// endpoints has the order of the documentation.
var endpoints = withShared(
	Endpoint{
		Path: "/ws/chat",
		Accepts: []string{
			TypeChatMessage, TypeJoinRoom, TypeLeaveRoom, TypeDeleteRoom, TypeHistory, TypeListUsers, TypeListRooms, TypeTyping,
			TypePing, TypePong,
		},
		Sends: []string{
			TypeInit, TypeReconnect, TypeRoomJoined, TypeRoomLeft, TypeRoomClosed, TypeRoomDeleted, TypeMessage, TypeMessageSent, TypeHistory,
			TypeSystemMessage, TypeUserStatus, TypeUserTyping, TypeUserList, TypeRoomList, TypeRooms, TypePresence, TypePing, TypePong, TypeError,
		},
	},
	Endpoint{
		Path:    "/ws/room/{room_id}",
		Accepts: []string{TypeJoin, TypeChatMessage, TypeRoomInfo, TypeList, TypeLeave, TypeDelete, TypePing, TypePong},
		Sends: []string{
			TypeReconnect, TypeRoomJoined, TypeRoomLeft, TypeRoomClosed, TypeChatMessage, TypeMessageSent, TypeRoomInfo, TypeRoomList,
			TypeRoomDeleted, TypeUserJoined, TypeUserLeft, TypeUserTyping, TypePresence, TypePing, TypePong, TypeError,
		},
	},
	Endpoint{
		Path:    "/ws/with-session",
		Accepts: []string{TypeResume, TypeGetSession, TypeUpdateSession, TypeLogout, TypePing},
		Sends:   []string{TypeSessionCreated, TypeSessionData, TypeSessionUpdated, TypeLoggedOut, TypePong, TypeError},
	},
	Endpoint{
		Path:    "/ws/reliable",
		Accepts: []string{TypeResume, TypeReconnectRequest, TypeHealth, TypePing, TypePong},
		Any:     true,
		Sends:   []string{TypeConnected, TypeReconnectAck, TypeHealth, TypeAck, TypePing, TypePong, TypeError},
	},
	Endpoint{
		Path:    "/ws/{client_id}",
		Accepts: []string{TypeChat, TypeSubscribe, TypeUnsubscribe, TypePing},
		Sends: []string{
			TypeConnected, TypeChat, TypeSubscribed, TypeUnsubscribed, TypeMessage, TypeSystemMessage, TypeUserStatus, TypeUserTyping,
			TypePresence, TypeRoomClosed, TypePong, TypeError,
		},
	},
	Endpoint{
		Path:    "/ws/safe", // its error messages have no type
		Accepts: []string{TypeDangerous},
		Any:     true,
		Sends:   []string{TypeProcessed},
	},
	Endpoint{
		Path:  "/ws/monitored",
		Any:   true,
		Sends: []string{TypeAck, TypeError},
	},
)

// withShared adds the types that every endpoint has.
func withShared(all ...Endpoint) []Endpoint {
	for i := range all {
		e := &all[i]
		e.Accepts = append(e.Accepts, TypeRefreshToken)
		e.Sends = append(e.Sends, TypeTokenRefreshed)
	}
	return all
}

// Endpoints returns the WebSocket paths that speak JSON, with their types. Do not change it. /ws speaks no JSON and
// is not in it.
func Endpoints() []Endpoint { return endpoints }

// knownTypes maps each type to itself.
var knownTypes = func() map[string]string {
	known := make(map[string]string)
	for _, e := range endpoints {
		for _, types := range [][]string{e.Accepts, e.Sends} {
			for _, typ := range types {
				known[typ] = typ
			}
		}
	}
	return known
}()
