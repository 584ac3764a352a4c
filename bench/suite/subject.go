package suite

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/internal/server/certs"
)

// subject is a server to measure, and how it is started and loaded.
type subject struct {
	record.Server
	run []string // command; {port} in it is replaced
	env []string
	dir string // where it runs
	// instead are other commands for some groups of cases.
	instead map[string][]string

	echoPath string
	fanPath  string   // "": it has no fan-out
	fanLoad  []string // what `perchbench fanout` must know beside that
	warm     bool     // it is compiled while it runs: one load first that does not count
	scale    bool     // only to measure how cost grows with connections
}

// plainFan is how the bare fan-out endpoints are loaded.
var plainFan = []string{"--exact"}

// scaleName is the server that the largest numbers of connections go to.
const scaleName = "perch 100k"

// ours are the servers of this repository, with limit descriptors for each
// table. perchd keeps a development key in the directory state.
func ours(root, state string, limit int, pair certs.Pair) []subject {
	bench, perchd := filepath.Join(root, "bin", "perchbench"), filepath.Join(root, "bin", "perchd")
	serve := []string{bench, "serve", "--listen", "127.0.0.1:{port}"}
	const most = 110_000
	loops := max(1, most/max(limit-reserve, 1)+1)
	bare := append(serve[:4:4], "--loops", "1", "--max-conns", strconv.Itoa(max(limit-reserve, 1)))
	chat := []string{perchd, "--listen", "127.0.0.1:{port}", "--loops", "1", "--new-connections-per-second", "0",
		"--messages-per-second", "0", "--bytes-per-second", "0"}
	// Both compress from 1 KiB, for every client that offers it.
	withTLS := func(command []string) map[string][]string {
		return map[string][]string{record.Deflate: command, record.TLS: append(command[:len(command):len(command)], "--tls-cert", pair.Cert, "--tls-key", pair.Key)}
	}
	pinging := func(interval string) []string {
		return append(serve[:4:4], "--loops", strconv.Itoa(loops), "--max-conns", strconv.Itoa(most), "--ping-interval", interval)
	}
	return []subject{
		{
			Server:   record.Server{Name: "perch", Lang: "Go", Ours: true, Settings: "perchbench serve --loops 1: the engine alone"},
			run:      bare,
			instead:  withTLS(bare),
			echoPath: "/ws", fanPath: "/fan", fanLoad: plainFan,
		},
		{
			Server: record.Server{Name: "perchd", Lang: "Go", Ours: true,
				Settings: "--loops 1, limits on rates off; the fan-out is its chat: JSON, offsets, history"},
			run:     chat,
			instead: withTLS(chat),
			env:     []string{"XDG_STATE_HOME=" + state}, dir: state, // and no configuration of the user's there
			echoPath: "/ws?raw=1",
			fanPath:  "/ws/chat",
			fanLoad: []string{"--hello", `{"username":"u{id}"}`, "--hello-ack", "room_joined", "--pub-hello", `{"username":"publisher"}`,
				"--template", `{"type":"chat_message","content":"m={seq},{ts} {pad}"}`,
				"--settle", "2s"}, // who has come is told once a second
		},
		{
			Server: record.Server{Name: scaleName, Lang: "Go", Ours: true,
				Settings: "perchbench serve --loops " + strconv.Itoa(loops) + " --max-conns 110000: as many loops as the descriptor limit demands; pings every 5 s for their cost, none otherwise"},
			run:      pinging("0s"),
			instead:  map[string][]string{record.Pings: pinging("5s")},
			echoPath: "/ws", scale: true,
		},
	}
}

// yardstick is the bare C server of bench/baseline, if it has been built.
func yardstick(root string) (subject, bool) {
	program := filepath.Join(root, "bench", "baseline", "rawecho")
	if _, err := os.Stat(program); err != nil {
		return subject{}, false
	}
	run := []string{program, "--port", "{port}"}
	return subject{
		Server: record.Server{Name: "rawecho", Lang: "C", Yardstick: true, SingleThreaded: true,
			Settings: "bare epoll in C that checks nothing (bench/baseline): the limit, no server for use"},
		run: run, instead: map[string][]string{record.Fanout: append(run[:3:3], "--fanout")}, echoPath: "/ws", fanPath: "/fan",
		fanLoad: append([]string{"--template", "PUB m={seq},{ts} {pad}"}, plainFan...), // what it takes for a publication
	}, true
}
