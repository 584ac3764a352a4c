package config

import (
	"slices"
	"time"
)

// rules are all rules, by the part of perchd that they concern. docs/configuration.md has the same list.
var rules = slices.Concat(servingRules, limitRules, timeRules, roomRules, tokenRules, fileRules, tlsRules)

// servingRules are about addresses, and about trusted peers.
var servingRules = []rule{
	{"listen auth-key", refused, seen(func(c *Config, f *Facts) bool { return c.Open() && f.ListenReached }),
		"it is reached by other machines, and without a key everybody may use perchd: set auth-key, auth-jwks-file or auth-jwks-url, or listen on 127.0.0.1"},
	{"admin-listen auth-key", refused, seen(func(c *Config, f *Facts) bool { return c.Open() && f.AdminReached }),
		"it is reached by other machines, and without a key everybody may use perchd: set auth-key, auth-jwks-file or auth-jwks-url, or write 127.0.0.1 or unix:/path"},
	{"admin-listen metrics-key", warned, seen(func(c *Config, f *Facts) bool { return !c.Open() && f.AdminReached && c.MetricsKey == "" }),
		"whoever reaches the admin listener reads the metrics: set metrics-key, or write 127.0.0.1 or unix:/path"},
	{"admin-listen listen", refused, when(sameAddress), "both are one address: want another port or path"},
	{"listen tls-cert", warned, seen(tokensInTheClear),
		"tokens and messages go over the network as they are: set tls-cert and tls-key, or name the proxy that has TLS in trusted-proxies or proxy-protocol"},
	{"socket-mode listen", warned, when(func(c *Config) bool { return c.Engine.SocketMode != 0 && !c.onUnix() }),
		"it is for a unix socket that perchd makes: listen on unix:/path, or leave it out"},
	{"private-fds listen", warned, when(func(c *Config) bool { return c.Engine.PrivateFDs && c.oneSocket() }),
		"loops that share one socket share the descriptor table too: listen on host:port, or leave it out"},
	{"loops", warned, seen(func(c *Config, f *Facts) bool {
		return f.CPUs > 0 && c.Engine.Loops > 4*f.CPUs && !c.Engine.PrivateFDs && c.Engine.MaxConnections <= f.Descriptors
	}), "more than four loops for each CPU only take turns: leave it out, unless private-fds needs them"},

	{"origin auth-cookie", refused, when(func(c *Config) bool { return c.anyOrigin() && c.Auth.Cookie != "" }),
		"with * every web page could act as those who visit it, by their cookie: name the origins of your own pages"},
	{"origin", warned, when((*Config).anyOrigin), "with * every web page may connect: name the origins of your own pages"},
	{"origin", warned, when(func(c *Config) bool { return c.anyOrigin() && len(c.Engine.Origins) > 1 }),
		"with * the others mean nothing: leave out * or the others"},

	{"trusted-proxies", refused, tooWide(func(c *Config) prefixList { return c.Engine.TrustedProxies }),
		"anybody who connects from there is believed about who they are: name the proxies alone, as in 10.1.2.0/24"},
	{"proxy-protocol", refused, tooWide(func(c *Config) prefixList { return c.Engine.ProxyProtocol }),
		"anybody who connects from there is believed about who they are: name the proxies alone, as in 10.1.2.0/24"},
	{"trusted-proxies listen", warned, when(func(c *Config) bool {
		return hasUnix(c.Engine.TrustedProxies) && !c.oneSocket()
	}), "unix stands for peers of a unix socket, and there is none: write the addresses of the proxies"},
	{"proxy-protocol listen", warned, when(func(c *Config) bool {
		return hasUnix(c.Engine.ProxyProtocol) && !c.oneSocket()
	}), "unix stands for peers of a unix socket, and there is none: write the addresses of the proxies"},
	{"trusted-proxies listen", warned, when(func(c *Config) bool {
		return c.onUnix() && hasOnlyAddresses(c.Engine.TrustedProxies) && !hasUnix(c.Engine.ProxyProtocol)
	}), "peers of a unix socket have no address: write unix"},
	{"proxy-protocol listen", warned, when(func(c *Config) bool {
		return c.onUnix() && hasOnlyAddresses(c.Engine.ProxyProtocol)
	}), "peers of a unix socket have no address: write unix"},
	{"listen trusted-proxies", warned, when(func(c *Config) bool {
		return c.onUnix() && !c.Open() && len(c.Engine.TrustedProxies)+len(c.Engine.ProxyProtocol) == 0
	}), "clients of a unix socket have no address, so that no limit of an address holds: set trusted-proxies or proxy-protocol to unix"},

	{"shutdown-deadline close-timeout", warned, when(func(c *Config) bool {
		return c.ShutdownDeadline > 0 && c.ShutdownDeadline < c.Engine.CloseTimeout
	}), "clients that are slow to answer are cut before their time: want at least close-timeout"},
	{"shutdown-deadline close-timeout", warned, when(func(c *Config) bool {
		return c.ShutdownDeadline < 0 && c.Engine.CloseTimeout < 0
	}), "one client that does not answer keeps perchd from ending: set one of them"},

	{"metrics-key endpoints", warned, when(func(c *Config) bool {
		return c.MetricsKey != "" && c.AdminListen == "" && !c.Serves("metrics")
	}), "nothing answers /metrics: add metrics to endpoints, set admin-listen, or leave the key out"},
	{"rooms endpoints", warned, when(func(c *Config) bool {
		return len(c.Chat.Rooms) > 0 && !c.Serves("chat") && !c.Serves("room") && !c.Serves("client-id")
	}), "no endpoint has rooms: add chat, room or client-id to endpoints, or leave it out"},
}

// limitRules are about limits.
var limitRules = []rule{
	{"max-connections-per-ip max-connections", warned, when(func(c *Config) bool {
		return c.Engine.MaxConnections > 0 && c.Engine.MaxConnectionsPerIP >= c.Engine.MaxConnections
	}), "one address may take all connections: want less than max-connections"},
	{"new-connections-per-ip new-connections-per-second", warned, when(func(c *Config) bool {
		return c.Engine.NewConnectionsPerSecond > 0 && c.Engine.NewConnectionsPerIP >= c.Engine.NewConnectionsPerSecond
	}), "one address may take all new connections: want less than new-connections-per-second"},
	{"max-http-connections max-connections", warned, when(func(c *Config) bool {
		return c.told("max-http-connections") && c.Engine.MaxConnections > 0 && c.Engine.MaxHTTP > c.Engine.MaxConnections
	}), "they are a part of max-connections, and never as many: want less"},
	{"max-connections loops", warned, seen(fewDescriptors),
		"the descriptor limit (ulimit -n) is in the way: raise it, set more loops, or want fewer connections"},

	{"max-head", refused, when(func(c *Config) bool { return c.Engine.MaxHead < leastHead || c.Engine.MaxHead > mostHead }),
		"no handshake fits into less than 256 bytes, and no buffer holds more than 60KiB: want something between, as 8KiB"},
	{"send-buffer", refused, when(func(c *Config) bool { return tooSmall(c.Engine.SendBuffer, leastBuffer) }),
		"TCP does not work well with less than 4KiB: want more, or 0, as the kernel likes"},
	{"receive-buffer", refused, when(func(c *Config) bool { return tooSmall(c.Engine.ReceiveBuffer, leastBuffer) }),
		"TCP does not work well with less than 4KiB: want more, or 0, as the kernel likes"},
	{"max-message-size", warned, when(func(c *Config) bool { return tooSmall(c.Engine.MaxMessageSize, 1<<10) }),
		"first messages with a token or a session do not fit into less than 1KiB: want more"},
	{"bytes-per-second max-message-size", refused, when(func(c *Config) bool {
		size, rate := c.Engine.MaxMessageSize, c.Engine.Rate.Bytes
		return size > 64<<10 && rate > 0 && rate < size
	}), "the largest message could never come: want at least max-message-size"},
	{"message-burst messages-per-second", warned, when(func(c *Config) bool { return c.told("message-burst") && c.Engine.Rate.Messages < 0 }),
		"it means nothing without a limit of messages-per-second: set that, or leave it out"},
	{"message-burst messages-per-second", warned, when(func(c *Config) bool { return c.Engine.Rate.Burst < 0 && c.Engine.Rate.Messages > 0 }),
		"with 0 any number may come at once, and messages-per-second limits nothing: set a number, as twice that"},

	{"max-input-total max-message-size", refused, twoParts(
		func(c *Config) int64 { return c.Engine.MaxInputTotal }, func(c *Config) int64 { return int64(c.Engine.MaxMessageSize) },
	), "it holds less than two messages, so that one client would shut out all others: want at least twice max-message-size"},
	{"max-output-total max-output", refused, twoParts(
		func(c *Config) int64 { return c.Engine.MaxOutputTotal }, func(c *Config) int64 { return int64(c.Engine.MaxOutput) },
	), "it holds less than two clients may have waiting, so that one would take what all need: want at least twice max-output"},
	{"room-history-total room-history-bytes", refused, twoParts(
		func(c *Config) int64 { return c.Engine.Rooms.MaxHistoryTotal }, func(c *Config) int64 { return int64(c.Engine.Rooms.MaxHistoryBytes) },
	), "it holds less than two rooms may keep, so that one would take what all need: want at least twice room-history-bytes"},
	{"session-memory", refused, when(func(c *Config) bool { return tooSmall(c.Session.MaxBytes, leastTotal) }),
		"one session may have 64KiB, and no client more than a share: want at least 1MiB"},
	{"message-id-memory", refused, when(func(c *Config) bool { return tooSmall(c.Chat.MaxSends, leastTotal) }),
		"an id takes 256 bytes for two minutes: want at least 1MiB"},
	{"max-input-total", warned, endless(func(c *Config) int64 { return c.Engine.MaxInputTotal }), fillsMemory},
	{"max-output-total", warned, endless(func(c *Config) int64 { return c.Engine.MaxOutputTotal }), fillsMemory},
	{"session-memory", warned, endless(func(c *Config) int64 { return c.Session.MaxBytes }), fillsMemory},
	{"message-id-memory", warned, endless(func(c *Config) int64 { return c.Chat.MaxSends }), fillsMemory},
	{"room-history-total", warned, endless(func(c *Config) int64 { return c.Engine.Rooms.MaxHistoryTotal }), fillsMemory},
	{"max-output-total max-input-total session-memory message-id-memory room-history-total", warned, seen(func(c *Config, f *Facts) bool {
		return f.Memory > 0 && c.totals() > f.Memory
	}), "the totals together are more than the memory that perchd may use: want less of one of them"},

	{"deflate-threshold permessage-deflate", warned, withoutDeflate("deflate-threshold"), onlyDeflate},
	{"deflate-server-takeover permessage-deflate", warned, withoutDeflate("deflate-server-takeover"), onlyDeflate},
	{"deflate-client-takeover permessage-deflate", warned, withoutDeflate("deflate-client-takeover"), onlyDeflate},
	{"deflate-server-window permessage-deflate", warned, withoutDeflate("deflate-server-window"), onlyDeflate},
	{"deflate-client-window permessage-deflate", warned, withoutDeflate("deflate-client-window"), onlyDeflate},
}

// timeRules are about timeouts.
var timeRules = []rule{
	{"ping-timeout ping-interval", refused, when(func(c *Config) bool {
		interval, timeout := c.Engine.PingInterval, c.Engine.PingTimeout
		return interval > 0 && timeout > 0 && timeout <= interval
	}), "clients would be closed before they could answer a ping: want more than ping-interval, as twice that"},
	{"ping-timeout ping-interval", warned, when(func(c *Config) bool { return c.Engine.PingInterval < 0 && c.Engine.PingTimeout > 0 }),
		"without pings clients that are merely silent are closed: set ping-interval, as half of it"},
	{"ping-timeout", warned, when(func(c *Config) bool {
		return c.told("ping-interval") && c.Engine.PingInterval > 0 && c.Engine.PingTimeout < 0
	}),
		"pings that nobody must answer find no client that is gone: set a time, as twice ping-interval"},
	{"ping-interval", warned, when(func(c *Config) bool { return hasty(c.Engine.PingInterval) }),
		"every idle client is pinged as often: want 1s or more"},
	{"handshake-timeout", warned, when(func(c *Config) bool { return hasty(c.Engine.HandshakeTimeout) }), tooFast},
	{"first-frame-timeout", warned, when(func(c *Config) bool { return hasty(c.FirstFrame) }), tooFast},
	{"message-timeout", warned, when(func(c *Config) bool { return hasty(c.Engine.MessageTimeout) }), tooFast},
	{"write-timeout", warned, when(func(c *Config) bool { return hasty(c.Engine.WriteTimeout) }), tooFast},
	{"handshake-timeout", warned, forever(func(c *Config) time.Duration { return c.Engine.HandshakeTimeout }), keepsPlace},
	{"first-frame-timeout", warned, forever(func(c *Config) time.Duration { return c.FirstFrame }), keepsPlace},
	{"message-timeout", warned, forever(func(c *Config) time.Duration { return c.Engine.MessageTimeout }), keepsPlace},
	{"write-timeout", warned, forever(func(c *Config) time.Duration { return c.Engine.WriteTimeout }), keepsPlace},
	{"close-timeout", warned, forever(func(c *Config) time.Duration { return c.Engine.CloseTimeout }), keepsPlace},
	{"http-idle-timeout", warned, forever(func(c *Config) time.Duration { return c.Engine.IdleTimeout }), keepsPlace},
	{"session-anonymous-ttl session-ttl", warned, when(func(c *Config) bool {
		anonymous, user := c.Session.AnonymousTTL, c.Session.TTL
		return user > 0 && (anonymous < 0 || anonymous > user)
	}), "sessions of anonymous clients outlive those of users: want at most session-ttl"},
}

// roomRules are about rooms.
var roomRules = []rule{
	{"max-rooms rooms", refused, when(func(c *Config) bool {
		most := c.Engine.Rooms.MaxRooms
		return most > 0 && most < ownRooms+len(c.Chat.Rooms)
	}), "it is less than the rooms that are always there, general and random among them: want more"},
	{"room-max-members create-rooms", warned, when(func(c *Config) bool { return !c.Chat.Create && c.told("room-max-members") }),
		"it is for rooms that clients make, and they may make none: leave it out, or create-rooms"},
	{"room-history-bytes", warned, when(func(c *Config) bool { return tooSmall(c.Engine.Rooms.MaxHistoryBytes, 32<<10) }),
		"one message may have 16KiB, and the largest are not kept: want at least 32KiB"},
}

// tokenRules are about tokens and the keys that verify them.
var tokenRules = []rule{
	{"auth-audience auth-key", refused, when(func(c *Config) bool { return c.Open() && len(c.Auth.Audience) > 0 }), nobodyAsked},
	{"auth-issuer auth-key", refused, when(func(c *Config) bool { return c.Open() && c.Auth.Issuer != "" }), nobodyAsked},
	{"auth-cookie auth-key", refused, when(func(c *Config) bool { return c.Open() && c.Auth.Cookie != "" }), nobodyAsked},
	{"auth-leeway auth-key", warned, when(func(c *Config) bool { return c.Open() && c.told("auth-leeway") }),
		"without a key nobody needs a token: set auth-key, auth-jwks-file or auth-jwks-url, or leave it out"},
	{"auth-dev-key auth-key", warned, when(func(c *Config) bool { return !c.Open() && c.Auth.DevKeyFile != "" }),
		"it is for perchd without a key, and tokens signed with it are not good here: leave it out"},
	{"auth-jwks-url auth-jwks-file", refused, when(func(c *Config) bool { return c.Auth.KeySetFile != "" && c.Auth.KeySetURL != "" }),
		"there are auth-jwks-file and auth-jwks-url: want one of them"},
	{"auth-audience auth-jwks-file auth-jwks-url", warned, when(func(c *Config) bool {
		return len(c.Auth.Audience) == 0 && c.Auth.KeySetFile+c.Auth.KeySetURL != ""
	}), "an issuer's tokens for other services are good here too: set it to what tokens for perchd have as aud"},
	{"auth-leeway", warned, when(func(c *Config) bool { return c.Auth.Leeway > 5*time.Minute }),
		"tokens are good for as long behind their end: want 5m at most, and clocks that are set"},
	{"auth-cookie", refused, when(func(c *Config) bool { return c.Auth.Cookie == "session_id" }),
		"this cookie is the one of /ws/{client_id}: want another name"},
	{"auth-key", refused, twice(func(_ *Config, f *Facts) []Verifier { return f.Verifiers }, func(v Verifier) string { return v.ID }, "kid"),
		"two keys have it, and no token could say which it means: want a kid for each"},
	{"auth-key", refused, twice((*Config).keyFiles, func(v Verifier) string { return v.Path }, "file"), "it is given twice: want each file once"},
	{"auth-key", refused, crowded, "of an algorithm there may be 4 keys without a kid, as one token is tried with 4: write kid=file"},
	{"metrics-key auth-key", refused, when(func(c *Config) bool {
		return c.MetricsKey != "" && slices.ContainsFunc(c.Auth.Keys, func(k KeyFile) bool { return k.Path == c.MetricsKey })
	}), "whoever may read the metrics could sign tokens: want a file of its own"},
	{"auth-jwks-url", warned, when(func(c *Config) bool {
		return secretURL(c.Auth.KeySetURL) && c.Source("auth-jwks-url") == "--auth-jwks-url"
	}),
		"it has a secret, and other users can read a command line: give it as PERCH_AUTH_JWKS_URL, or in the file of --config"},
}

// fileRules are about the permissions of files.
var fileRules = []rule{
	{"config", refused, writable("config"), replaceable},
	{"auth-key", refused, writable("auth-key"), replaceable},
	{"auth-jwks-file", refused, writable("auth-jwks-file"), replaceable},
	{"metrics-key", refused, writable("metrics-key"), replaceable},
	{"tls-cert", refused, writable("tls-cert"), replaceable},
	{"tls-key", refused, writable("tls-key"), replaceable},
	{"tls-client-ca", refused, writable("tls-client-ca"), replaceable},
	{"auth-key", warned, exposed("auth-key"), readable},
	{"auth-jwks-file", warned, exposed("auth-jwks-file"), readable},
	{"metrics-key", warned, exposed("metrics-key"), readable},
	{"tls-key", warned, exposed("tls-key"), readable},
}

// tlsRules are about certificates.
var tlsRules = []rule{
	{"tls-key tls-cert", refused, when(func(c *Config) bool { return len(c.TLS.Certs) != len(c.TLS.Keys) }),
		"there are not as many as certificates: want one for each tls-cert, in their order"},
	{"tls-self-signed tls-cert", refused, when(func(c *Config) bool { return c.TLS.SelfSigned && len(c.TLS.Certs) > 0 }),
		"there is tls-cert too: want one of them"},
	{"tls-client-ca tls-cert", refused, when(func(c *Config) bool { return c.TLS.ClientCA != "" && !c.TLS.Enabled() }),
		"without tls-cert nobody is asked for a certificate: set tls-cert and tls-key, or leave it out"},
	{"max-tls-handshakes tls-cert", warned, when(func(c *Config) bool { return c.told("max-tls-handshakes") && !c.TLS.Enabled() }),
		"without tls-cert there are no TLS handshakes: set tls-cert and tls-key, or leave it out"},
	{"tls-cert", warned, func(_ *Config, f *Facts) []string { return f.Invalid }, "no client believes it: want one that is valid now"},
}
