package chat

import "strings"

// Locale is the language of the server's own messages: en or zh.
type Locale string

// The languages.
const (
	English Locale = "en"
	Chinese Locale = "zh"
)

// event is the event that a system message reports.
type event string

const (
	eventWelcome event = "welcome"
	eventJoined  event = "joined"
	eventLeft    event = "left"
	eventOffline event = "offline"
)

// {user} and {room} in texts stand for the names.
var texts = map[Locale]map[event]string{
	English: {
		eventWelcome: "Welcome to {room}",
		eventJoined:  "{user} joined",
		eventLeft:    "{user} left",
		eventOffline: "{user} went offline",
	},
	Chinese: {
		eventWelcome: "欢迎来到 {room}",
		eventJoined:  "{user} 加入了聊天室",
		eventLeft:    "{user} 离开了聊天室",
		eventOffline: "{user} 已离线",
	},
}

func (l Locale) text(e event, user, room string) string {
	return strings.NewReplacer("{user}", user, "{room}", room).Replace(texts[l][e])
}
