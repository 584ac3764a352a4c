package config

import (
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
)

// samples has for every key a value other than the default, and its effect on a Config.
var samples = map[string]struct {
	given []string
	file  string // in TOML, if it is neither a string nor a list of strings
	want  func(c *Config)
}{
	"endpoints":                  {[]string{"chat", "ws"}, "", func(c *Config) { c.Endpoints = []string{"ws", "chat"} }},
	"admin-listen":               {[]string{"unix:/run/a"}, "", func(c *Config) { c.AdminListen = "unix:/run/a" }},
	"metrics-key":                {[]string{"/etc/m"}, "", func(c *Config) { c.MetricsKey = "/etc/m" }},
	"listen":                     {[]string{"[::1]:9"}, "", func(c *Config) { c.Engine.Addr = "[::1]:9" }},
	"origin":                     {[]string{"https://a.example", "*"}, "", func(c *Config) { c.Engine.Origins = []string{"https://a.example", "*"} }},
	"trusted-proxies":            {[]string{"10.0.0.0/8", "::1"}, "", func(c *Config) { c.Engine.TrustedProxies = prefixes("10.0.0.0/8", "::1/128") }},
	"proxy-protocol":             {[]string{"10.0.0.0/8", "unix"}, "", func(c *Config) { c.Engine.ProxyProtocol = append(prefixes("10.0.0.0/8"), perch.UnixPeers()) }},
	"socket-mode":                {[]string{"0660"}, "", func(c *Config) { c.Engine.SocketMode = 0o660 }},
	"max-http-connections":       {[]string{"70"}, "70", func(c *Config) { c.Engine.MaxHTTP = 70 }},
	"http-idle-timeout":          {[]string{"7s"}, "", func(c *Config) { c.Engine.IdleTimeout = 7 * time.Second }},
	"loops":                      {[]string{"3"}, "3", func(c *Config) { c.Engine.Loops = 3 }},
	"workers":                    {[]string{"5"}, "5", func(c *Config) { c.Engine.Workers = 5 }},
	"private-fds":                {[]string{"true"}, "true", func(c *Config) { c.Engine.PrivateFDs = true }},
	"keep-gomaxprocs":            {[]string{"true"}, "true", func(c *Config) { c.Engine.KeepGOMAXPROCS = true }},
	"shutdown-delay":             {[]string{"1s"}, "", func(c *Config) { c.ShutdownDelay = time.Second }},
	"shutdown-deadline":          {[]string{"0"}, "0", func(c *Config) { c.ShutdownDeadline = -1 }},
	"max-connections":            {[]string{"0"}, "0", func(c *Config) { c.Engine.MaxConnections = -1 }},
	"max-connections-per-ip":     {[]string{"7"}, "7", func(c *Config) { c.Engine.MaxConnectionsPerIP = 7 }},
	"new-connections-per-ip":     {[]string{"9"}, "9", func(c *Config) { c.Engine.NewConnectionsPerIP = 9 }},
	"new-connections-per-second": {[]string{"8"}, "8", func(c *Config) { c.Engine.NewConnectionsPerSecond = 8 }},
	"max-head":                   {[]string{"16KiB"}, "", func(c *Config) { c.Engine.MaxHead = 16 << 10 }},
	"max-headers":                {[]string{"200"}, "200", func(c *Config) { c.Engine.MaxHeaders = 200 }},
	"max-message-size":           {[]string{"1MiB"}, "", func(c *Config) { c.Engine.MaxMessageSize = 1 << 20 }},
	"max-fragments":              {[]string{"9"}, "9", func(c *Config) { c.Engine.MaxFragments = 9 }},
	"max-output":                 {[]string{"4096"}, "4096", func(c *Config) { c.Engine.MaxOutput = 4096 }},
	"max-input-total":            {[]string{"4GiB"}, "", func(c *Config) { c.Engine.MaxInputTotal = 4 << 30 }},
	"memory-limit":               {[]string{"5GiB"}, "", func(c *Config) { c.MemoryLimit = 5 << 30 }},
	"max-output-total":           {[]string{"3GiB"}, "", func(c *Config) { c.Engine.MaxOutputTotal = 3 << 30 }},
	"send-buffer":                {[]string{"64KiB"}, "", func(c *Config) { c.Engine.SendBuffer = 64 << 10 }},
	"receive-buffer":             {[]string{"0"}, "0", func(c *Config) { c.Engine.ReceiveBuffer = -1 }},
	"messages-per-second":        {[]string{"0"}, "0", func(c *Config) { c.Engine.Rate.Messages = -1 }},
	"message-burst":              {[]string{"11"}, "11", func(c *Config) { c.Engine.Rate.Burst = 11 }},
	"bytes-per-second":           {[]string{"3MiB"}, "", func(c *Config) { c.Engine.Rate.Bytes = 3 << 20 }},
	"max-errors":                 {[]string{"12"}, "12", func(c *Config) { c.MaxErrors = 12 }},
	"handshake-timeout":          {[]string{"1s"}, "", func(c *Config) { c.Engine.HandshakeTimeout = time.Second }},
	"first-frame-timeout":        {[]string{"2s"}, "", func(c *Config) { c.FirstFrame = 2 * time.Second }},
	"message-timeout":            {[]string{"3s"}, "", func(c *Config) { c.Engine.MessageTimeout = 3 * time.Second }},
	"ping-interval": {[]string{"4s"}, "", func(c *Config) {
		c.Engine.PingInterval, c.Engine.PingTimeout = 4*time.Second, 8*time.Second
		c.sources["ping-timeout"] = "from ping-interval"
	}},
	"ping-timeout":            {[]string{"0s"}, "", func(c *Config) { c.Engine.PingTimeout = -1 }},
	"write-timeout":           {[]string{"6s"}, "", func(c *Config) { c.Engine.WriteTimeout = 6 * time.Second }},
	"close-timeout":           {[]string{"500ms"}, "", func(c *Config) { c.Engine.CloseTimeout = 500 * time.Millisecond }},
	"permessage-deflate":      {[]string{"false"}, "false", func(c *Config) { c.Engine.Compression.Disabled = true }},
	"deflate-threshold":       {[]string{"0"}, "0", func(c *Config) { c.Engine.Compression.Threshold = -1 }},
	"deflate-server-takeover": {[]string{"true"}, "true", func(c *Config) { c.Engine.Compression.ServerTakeover = true }},
	"deflate-client-takeover": {[]string{"true"}, "true", func(c *Config) { c.Engine.Compression.ClientTakeover = true }},
	"deflate-server-window":   {[]string{"9"}, "9", func(c *Config) { c.Engine.Compression.ServerWindow = 9 }},
	"deflate-client-window":   {[]string{"15"}, "15", func(c *Config) { c.Engine.Compression.ClientWindow = 15 }},
	"tls-cert":                {[]string{"a.pem", "b.pem"}, "", func(c *Config) { c.TLS.Certs = []string{"a.pem", "b.pem"} }},
	"tls-key":                 {[]string{"a.key", "b.key"}, "", func(c *Config) { c.TLS.Keys = []string{"a.key", "b.key"} }},
	"tls-client-ca":           {[]string{"ca.pem"}, "", func(c *Config) { c.TLS.ClientCA = "ca.pem" }},
	"tls-self-signed":         {[]string{"true"}, "true", func(c *Config) { c.TLS.SelfSigned = true }},
	"max-tls-handshakes":      {[]string{"21"}, "21", func(c *Config) { c.Engine.MaxTLSHandshakes = 21 }},
	"session-ttl":             {[]string{"1h30m"}, "", func(c *Config) { c.Session.TTL = 90 * time.Minute }},
	"session-anonymous-ttl":   {[]string{"1m"}, "", func(c *Config) { c.Session.AnonymousTTL = time.Minute }},
	"session-memory":          {[]string{"0"}, "0", func(c *Config) { c.Session.MaxBytes = -1 }},
	"rooms":                   {[]string{"lobby", "news desk"}, "", func(c *Config) { c.Chat.Rooms = []string{"lobby", "news desk"} }},
	"create-rooms":            {[]string{"false"}, "false", func(c *Config) { c.Chat.Create = false }},
	"max-rooms":               {[]string{"13"}, "13", func(c *Config) { c.Engine.Rooms.MaxRooms = 13 }},
	"room-max-members":        {[]string{"0"}, "0", func(c *Config) { c.Chat.MaxMembers = -1 }},
	"room-queue":              {[]string{"14"}, "14", func(c *Config) { c.Engine.Rooms.MaxQueue = 14 }},
	"room-history":            {[]string{"15"}, "15", func(c *Config) { c.Engine.Rooms.MaxHistory = 15 }},
	"room-history-bytes":      {[]string{"16KiB"}, "", func(c *Config) { c.Engine.Rooms.MaxHistoryBytes = 16 << 10 }},
	"room-history-total":      {[]string{"17MiB"}, "", func(c *Config) { c.Engine.Rooms.MaxHistoryTotal = 17 << 20 }},
	"message-id-memory":       {[]string{"18MiB"}, "", func(c *Config) { c.Chat.MaxSends = 18 << 20 }},
	"locale":                  {[]string{"zh"}, "", func(c *Config) { c.Chat.Locale = "zh" }},
	"auth-key":                {[]string{"k1=/etc/a.pem", "/etc/x=y"}, "", func(c *Config) { c.Auth.Keys = []KeyFile{{"k1", "/etc/a.pem"}, {"", "/etc/x=y"}} }},
	"auth-jwks-file":          {[]string{"/etc/jwks"}, "", func(c *Config) { c.Auth.KeySetFile = "/etc/jwks" }},
	"auth-jwks-url":           {[]string{"https://id.example/jwks"}, "", func(c *Config) { c.Auth.KeySetURL = "https://id.example/jwks" }},
	"auth-audience":           {[]string{"chat", "admin"}, "", func(c *Config) { c.Auth.Audience = []string{"chat", "admin"} }},
	"auth-issuer":             {[]string{"https://id.example"}, "", func(c *Config) { c.Auth.Issuer = "https://id.example" }},
	"auth-cookie":             {[]string{"perch_token"}, "", func(c *Config) { c.Auth.Cookie = "perch_token" }},
	"auth-leeway":             {[]string{"0s"}, "", func(c *Config) { c.Auth.Leeway = -1 }},
	"auth-dev-key":            {[]string{"/tmp/dev.key"}, "", func(c *Config) { c.Auth.DevKeyFile = "/tmp/dev.key" }},
	"log-format":              {[]string{"json"}, "", func(c *Config) { c.Log.JSON = true }},
	"log-level":               {[]string{"debug"}, "", func(c *Config) { c.Log.Level = slog.LevelDebug }},
}

func prefixes(all ...string) (ps []netip.Prefix) {
	for _, s := range all {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// TestKeys gives each key by each source, and checks that only its own field changes.
func TestKeys(t *testing.T) {
	n := 0
	new(Config).all(func(k key, v value) {
		n++
		s, ok := samples[k.name]
		if !ok {
			t.Errorf("no sample of %s", k.name)
			return
		}
		if v.list != (len(s.given) > 1) {
			t.Errorf("sample of %s: %q, list %v", k.name, s.given, v.list)
		}
		var args []string
		for _, g := range s.given {
			args = append(args, "--"+k.name+"="+g)
		}
		file := s.file
		if file == "" {
			file = `"` + strings.Join(s.given, `", "`) + `"`
		}
		if v.list {
			file = "[" + file + "]"
		}
		path := write(t, k.name+" = "+file)
		for source, load := range map[string]func() (*Config, error){
			"--" + k.name:  func() (*Config, error) { return Load(args, nil) },
			k.env():        func() (*Config, error) { return Load(nil, []string{k.env() + "=" + strings.Join(s.given, ", ")}) },
			"file " + path: func() (*Config, error) { return Load([]string{"--config", path}, nil) },
		} {
			got, err := load()
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			want := standard(t)
			s.want(want)
			want.sources[k.name] = source
			if strings.HasPrefix(source, "file ") {
				want.File, want.sources[configKey] = path, "--config"
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s by %s:\ngot  %+v\nwant %+v", k.name, source, got, want)
			}
		}
	})
	if n != len(samples) {
		t.Errorf("%d samples for %d keys", len(samples), n)
	}
}

// TestDefaults: the defaults are those of the contract, and each key accepts its own default.
func TestDefaults(t *testing.T) {
	c := new(Config)
	c.all(func(k key, v value) {
		if err := v.set(k.standards()); err != nil {
			t.Errorf("%s: default %q: %v", k.name, k.standard, err)
		}
	})
	got := standard(t)
	want := &Config{FirstFrame: 10 * time.Second, MaxErrors: 10, ShutdownDeadline: 10 * time.Second, sources: got.sources}
	want.Engine.Addr = "127.0.0.1:8000"
	want.Endpoints = Endpoints()
	want.Engine.MaxConnectionsPerIP, want.Engine.NewConnectionsPerSecond, want.Engine.NewConnectionsPerIP = 100, 1000, 100
	want.Engine.MaxHTTP, want.Engine.IdleTimeout = 1024, 75*time.Second
	want.Engine.MaxHead, want.Engine.MaxHeaders = 8<<10, 64
	want.Engine.MaxMessageSize, want.Engine.MaxFragments = 64<<10, 1024
	want.Engine.MaxOutput, want.Engine.MaxOutputTotal = 1<<20, 256<<20
	want.Engine.Rate.Messages, want.Engine.Rate.Burst, want.Engine.Rate.Bytes = 100, 200, 1<<20
	want.Engine.HandshakeTimeout, want.Engine.MessageTimeout = 5*time.Second, 30*time.Second
	want.Engine.PingInterval, want.Engine.PingTimeout = 30*time.Second, 60*time.Second
	want.Engine.WriteTimeout, want.Engine.CloseTimeout = 30*time.Second, 5*time.Second
	want.Engine.SendBuffer, want.Engine.ReceiveBuffer = 128<<10, 128<<10
	want.Session.TTL, want.Session.AnonymousTTL, want.Session.MaxBytes = 24*time.Hour, 5*time.Minute, 256<<20
	want.Engine.Rooms.MaxRooms, want.Engine.Rooms.MaxQueue = 100000, 1000
	want.Engine.Rooms.MaxHistory, want.Engine.Rooms.MaxHistoryBytes, want.Engine.Rooms.MaxHistoryTotal = 1000, 1<<20, 256<<20
	want.Chat = Chat{Create: true, MaxMembers: 1000, MaxSends: 128 << 20, Locale: "en"}
	want.Auth.Leeway = 30 * time.Second
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestOpen(t *testing.T) {
	for args, want := range map[string]bool{
		"": true, "--auth-audience=a --auth-issuer=i --auth-cookie=c --auth-dev-key=k": true,
		"--auth-key=k": false, "--auth-jwks-file=f": false, "--auth-jwks-url=https://a/": false,
	} {
		c, err := Load(strings.Fields(args), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Open() != want {
			t.Errorf("%q: open %v, want %v", args, c.Open(), want)
		}
	}
}

func standard(t *testing.T) *Config {
	t.Helper()
	c, err := Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
