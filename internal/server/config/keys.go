package config

import (
	"log/slog"
	"strings"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/room"
)

// key is one setting of perchd.
type key struct {
	name     string // of the flag and in the file
	operand  string // the name of its value in the help; "": it is true or false
	help     string
	standard string // the default, as a user would write it; "": none, or an empty list
	at       func(c *Config) value
}

// env is the name of the environment variable.
func (k key) env() string { return "PERCH_" + strings.ToUpper(strings.ReplaceAll(k.name, "-", "_")) }

// group has the keys under one heading in the help.
type group struct {
	title string
	keys  []key
}

const most = 1 << 30 // the greatest count

// groups has all keys of perchd.
var groups = []group{
	{"Serving", []key{
		{"listen", "address", "where to serve: host:port, unix:/path, or systemd (its socket)", "127.0.0.1:8000",
			func(c *Config) value { return one(&c.Engine.Addr, trimmed(text(address))) }},
		{"socket-mode", "bits", "permissions of the unix socket, as 0660; auto: what the umask leaves", "auto",
			func(c *Config) value { return one(&c.Engine.SocketMode, orAuto(permission())) }},
		{"origin", "origin", "browser origin that may connect, https://*.a.example too, or * (default: the same host)", "",
			func(c *Config) value { return many(&c.Engine.Origins, trimmed(text(handshake.CheckOrigin))) }},
		{"trusted-proxies", "prefix", "addresses whose X-Forwarded-For is believed, as 10.0.0.0/8; unix: of unix sockets", "",
			func(c *Config) value { return many(&c.Engine.TrustedProxies, peers()) }},
		{"proxy-protocol", "prefix", "addresses that must send a PROXY header first, or unix", "",
			func(c *Config) value { return many(&c.Engine.ProxyProtocol, peers()) }},
		{"loops", "number", "event loops; auto: GOMAXPROCS, one per CPU", "auto",
			func(c *Config) value { return one(&c.Engine.Loops, orAuto(count(1, 1024))) }},
		{"workers", "number", "goroutines for handlers that wait; auto: four times GOMAXPROCS", "auto",
			func(c *Config) value { return one(&c.Engine.Workers, orAuto(count(1, 1<<16))) }},
		{"private-fds", "", "a descriptor table for each loop: the descriptor limit counts per loop", "false",
			func(c *Config) value { return one(&c.Engine.PrivateFDs, boolean()) }},
		{"keep-gomaxprocs", "", "GOMAXPROCS is left as it is, and not raised by the number of loops", "false",
			func(c *Config) value { return one(&c.Engine.KeepGOMAXPROCS, boolean()) }},
		{"shutdown-delay", "time", "from the signal to the first close: clients are served still, /ready says 503", "0s",
			func(c *Config) value { return one(&c.ShutdownDelay, duration()) }},
		{"shutdown-deadline", "time", "for the closing handshakes at the end", "10s",
			func(c *Config) value { return one(&c.ShutdownDeadline, limit(duration())) }},
	}},
	{"What is served, beside /health and /ready", []key{
		{"endpoints", "name", strings.Join(Endpoints(), " "), "all",
			func(c *Config) value { return endpointList(&c.Endpoints) }},
		{"admin-listen", "address", "/health, /ready and /metrics apart from clients: host:port or unix:/path", "",
			func(c *Config) value { return one(&c.AdminListen, text(adminAddress)) }},
		{"metrics-key", "file", "what /metrics demands as a bearer token (default: only admin-listen has it, if there are keys)", "",
			func(c *Config) value { return one(&c.MetricsKey, text(nil)) }},
	}},
	{"Limits", []key{
		{"max-connections", "number", "connections in all; auto: what the descriptor limit allows", "auto",
			func(c *Config) value { return one(&c.Engine.MaxConnections, orAuto(limit(count(0, most)))) }},
		{"max-connections-per-ip", "number", "connections of one address (IPv6: one /64); loopback is never limited", "100",
			func(c *Config) value { return one(&c.Engine.MaxConnectionsPerIP, limit(count(0, most))) }},
		{"new-connections-per-second", "number", "new connections in a second", "1000",
			func(c *Config) value { return one(&c.Engine.NewConnectionsPerSecond, limit(count(0, most))) }},
		{"new-connections-per-ip", "number", "of them, those of one address (IPv6: one /64); loopback is never limited", "100",
			func(c *Config) value { return one(&c.Engine.NewConnectionsPerIP, limit(count(0, most))) }},
		{"max-http-connections", "number", "connections of plain HTTP among them; idle ones make room for others", "1024",
			func(c *Config) value { return one(&c.Engine.MaxHTTP, limit(count(0, most))) }},
		{"max-head", "size", "head of a request; 60KiB at most", "8KiB",
			func(c *Config) value { return one(&c.Engine.MaxHead, size[int]()) }},
		{"max-headers", "number", "lines in the head of a request", "64",
			func(c *Config) value { return one(&c.Engine.MaxHeaders, count(8, handshake.MostHeaders)) }},
		{"max-message-size", "size", "one message received", "64KiB",
			func(c *Config) value { return one(&c.Engine.MaxMessageSize, limit(size[int]())) }},
		{"max-fragments", "number", "frames of one message received", "1024",
			func(c *Config) value { return one(&c.Engine.MaxFragments, limit(count(0, most))) }},
		{"max-input-total", "size", "unfinished input of all clients; auto: 128MiB, or four messages of max-message-size", "auto",
			func(c *Config) value { return one(&c.Engine.MaxInputTotal, orAuto(limit(size[int64]()))) }},
		{"memory-limit", "size", "for the collector (GOMEMLIMIT); auto: 9/10 of the control group's limit", "auto",
			func(c *Config) value { return one(&c.MemoryLimit, orAuto(limit(size[int64]()))) }},
		{"max-output", "size", "waiting for one client; over it the client is closed with 3000", "1MiB",
			func(c *Config) value { return one(&c.Engine.MaxOutput, limit(size[int]())) }},
		{"max-output-total", "size", "waiting for all clients, and on its way to event loops", "256MiB",
			func(c *Config) value { return one(&c.Engine.MaxOutputTotal, limit(size[int64]())) }},
		{"send-buffer", "size", "unsent output of one client in the kernel; 0: as it likes", "128KiB",
			func(c *Config) value { return one(&c.Engine.SendBuffer, limit(size[int]())) }},
		{"receive-buffer", "size", "unread input of one client in the kernel; 0: as it likes", "128KiB",
			func(c *Config) value { return one(&c.Engine.ReceiveBuffer, limit(size[int]())) }},
		{"messages-per-second", "number", "messages of one client; over it the client is closed with 1008", "100",
			func(c *Config) value { return one(&c.Engine.Rate.Messages, limit(count(0, most))) }},
		{"message-burst", "number", "messages of one client at once", "200",
			func(c *Config) value { return one(&c.Engine.Rate.Burst, limit(count(0, most))) }},
		{"bytes-per-second", "size", "input of one client in a second; at least max-message-size", "1MiB",
			func(c *Config) value { return one(&c.Engine.Rate.Bytes, limit(size[int]())) }},
		{"max-errors", "number", "errors of one client in a minute; over it the client is closed with 1008", "10",
			func(c *Config) value { return one(&c.MaxErrors, limit(count(0, most))) }},
	}},
	{"Times", []key{
		{"handshake-timeout", "time", "from accept to the end of the request, TLS included", "5s",
			func(c *Config) value { return one(&c.Engine.HandshakeTimeout, limit(duration())) }},
		{"http-idle-timeout", "time", "of a plain HTTP connection between requests", "75s",
			func(c *Config) value { return one(&c.Engine.IdleTimeout, limit(duration())) }},
		{"first-frame-timeout", "time", "for the first frame, where one is due; then 4408", "10s",
			func(c *Config) value { return one(&c.FirstFrame, limit(duration())) }},
		{"message-timeout", "time", "for a message from its first byte on, and anew for every 16 KiB of it", "30s",
			func(c *Config) value { return one(&c.Engine.MessageTimeout, limit(duration())) }},
		{"ping-interval", "time", "of silence until a ping; if ping-timeout alone is set, half of it", "30s",
			func(c *Config) value { return one(&c.Engine.PingInterval, limit(duration())) }},
		{"ping-timeout", "time", "of silence until the end, 3001; if ping-interval alone is set, twice that", "60s",
			func(c *Config) value { return one(&c.Engine.PingTimeout, limit(duration())) }},
		{"write-timeout", "time", "without a byte taken by a client that has output waiting, or of an HTTP body", "30s",
			func(c *Config) value { return one(&c.Engine.WriteTimeout, limit(duration())) }},
		{"close-timeout", "time", "for the answer to a close, and without a byte taken until then", "5s",
			func(c *Config) value { return one(&c.Engine.CloseTimeout, limit(duration())) }},
	}},
	{"Compression (permessage-deflate, where a client offers it)", []key{
		{"permessage-deflate", "", "compress messages", "true",
			func(c *Config) value { return one(&c.Engine.Compression.Disabled, not(boolean())) }},
		{"deflate-threshold", "size", "messages from this size are compressed; 0: all; auto: 1KiB, with takeover 32B", "auto",
			func(c *Config) value { return one(&c.Engine.Compression.Threshold, orAuto(limit(size[int]()))) }},
		{"deflate-server-takeover", "", "remember what each client was sent, for the next message", "false",
			func(c *Config) value { return one(&c.Engine.Compression.ServerTakeover, boolean()) }},
		{"deflate-client-takeover", "", "the same of what each client has sent", "false",
			func(c *Config) value { return one(&c.Engine.Compression.ClientTakeover, boolean()) }},
		{"deflate-server-window", "bits", "how much of it: 9 is 512 bytes, 15 is 32 KiB; auto: 15, with takeover 12", "auto",
			func(c *Config) value { return one(&c.Engine.Compression.ServerWindow, orAuto(count(9, 15))) }},
		{"deflate-client-window", "bits", "the same of what clients send; auto: 15", "auto",
			func(c *Config) value { return one(&c.Engine.Compression.ClientWindow, orAuto(count(9, 15))) }},
	}},
	{"Sessions", []key{
		{"session-ttl", "time", "life of a user's session without a connection", "24h",
			func(c *Config) value { return one(&c.Session.TTL, limit(duration())) }},
		{"session-anonymous-ttl", "time", "the same of an anonymous one", "5m",
			func(c *Config) value { return one(&c.Session.AnonymousTTL, limit(duration())) }},
		{"session-memory", "size", "all sessions; over it the oldest without a connection go", "256MiB",
			func(c *Config) value { return one(&c.Session.MaxBytes, limit(size[int64]())) }},
	}},
	{"Rooms and chat", []key{
		{"rooms", "id", "rooms that are there besides general and random", "",
			func(c *Config) value { return many(&c.Chat.Rooms, text(room.CheckID)) }},
		{"create-rooms", "", "clients may make rooms", "true",
			func(c *Config) value { return one(&c.Chat.Create, boolean()) }},
		{"max-rooms", "number", "rooms in all", "100000",
			func(c *Config) value { return one(&c.Engine.Rooms.MaxRooms, limit(count(0, most))) }},
		{"room-max-members", "number", "members of a room that a client made", "1000",
			func(c *Config) value { return one(&c.Chat.MaxMembers, limit(count(0, most))) }},
		{"room-queue", "number", "messages of one room under way at once", "1000",
			func(c *Config) value { return one(&c.Engine.Rooms.MaxQueue, limit(count(0, most))) }},
		{"room-history", "number", "messages kept of one room", "1000",
			func(c *Config) value { return one(&c.Engine.Rooms.MaxHistory, limit(count(0, most))) }},
		{"room-history-bytes", "size", "the same in bytes", "1MiB",
			func(c *Config) value { return one(&c.Engine.Rooms.MaxHistoryBytes, limit(size[int]())) }},
		{"room-history-total", "size", "messages kept of all rooms", "256MiB",
			func(c *Config) value { return one(&c.Engine.Rooms.MaxHistoryTotal, limit(size[int64]())) }},
		{"message-id-memory", "size", "ids of the last two minutes' messages; over it one with an id is refused", "128MiB",
			func(c *Config) value { return one(&c.Chat.MaxSends, limit(size[int64]())) }},
		{"locale", "en|zh", "language of what the chat itself says", "en",
			func(c *Config) value { return one(&c.Chat.Locale, choice([]string{"en", "zh"}, []string{"en", "zh"})) }},
	}},
	{"Tokens. Without a key perchd is open: loopback only, and clients need no token", []key{
		{"auth-key", "[kid=]file", "key that verifies tokens: public (PEM, DER or JWK), or a secret for HS256 of 32 bytes", "",
			func(c *Config) value { return many(&c.Auth.Keys, keyFile()) }},
		{"auth-jwks-file", "file", "JWK set", "",
			func(c *Config) value { return one(&c.Auth.KeySetFile, text(nil)) }},
		{"auth-jwks-url", "url", "JWK set, https", "",
			func(c *Config) value { return one(&c.Auth.KeySetURL, link()) }},
		{"auth-audience", "name", "a token must be for one of these (default: not checked)", "",
			func(c *Config) value { return many(&c.Auth.Audience, text(notEmpty)) }},
		{"auth-issuer", "name", "a token must be from here (default: not checked)", "",
			func(c *Config) value { return one(&c.Auth.Issuer, text(nil)) }},
		{"auth-cookie", "name", "cookie that may carry a token (default: none)", "",
			func(c *Config) value { return one(&c.Auth.Cookie, text(cookieName)) }},
		{"auth-leeway", "time", "between our clock and the issuer's", "30s",
			func(c *Config) value { return one(&c.Auth.Leeway, limit(duration())) }},
		{"auth-dev-key", "file", "key of open mode, made if missing (default: perch/dev.key in $XDG_STATE_HOME)", "",
			func(c *Config) value { return one(&c.Auth.DevKeyFile, text(nil)) }},
	}},
	{"TLS. With a certificate perchd serves https:// and wss://, on the same address", []key{
		{"tls-cert", "file", "certificate with its chain, in PEM, read anew when it changes", "",
			func(c *Config) value { return many(&c.TLS.Certs, text(notEmpty)) }},
		{"tls-key", "file", "its key, in PEM; as many as certificates, in their order", "",
			func(c *Config) value { return many(&c.TLS.Keys, text(notEmpty)) }},
		{"tls-client-ca", "file", "clients need a certificate that these vouch for, in PEM (default: they need none)", "",
			func(c *Config) value { return one(&c.TLS.ClientCA, text(nil)) }},
		{"tls-self-signed", "", "a certificate made at the start, for development", "false",
			func(c *Config) value { return one(&c.TLS.SelfSigned, boolean()) }},
		{"max-tls-handshakes", "number", "TLS handshakes under way at once, others wait; auto: 256 per CPU", "auto",
			func(c *Config) value { return one(&c.Engine.MaxTLSHandshakes, orAuto(limit(count(0, most)))) }},
	}},
	{"Log", []key{
		{"log-format", "text|json", "how lines look", "text",
			func(c *Config) value { return one(&c.Log.JSON, choice([]string{"text", "json"}, []bool{false, true})) }},
		{"log-level", "level", "debug, info, warn or error", "info",
			func(c *Config) value { return one(&c.Log.Level, choice(levelNames, levels)) }},
	}},
}

var (
	levelNames = []string{"debug", "info", "warn", "error"}
	levels     = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
)

// all calls f for every key, in order, with its place in c.
func (c *Config) all(f func(k key, v value)) {
	for _, g := range groups {
		for _, k := range g.keys {
			f(k, k.at(c))
		}
	}
}
