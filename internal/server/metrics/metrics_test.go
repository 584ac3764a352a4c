package metrics_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/metrics"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// sample has the values of a scrape by series: `perch_errors_total{kind="panic"}`.
type sample map[string]float64

// read takes a text exposition apart. promlint checks that it is correct.
func read(t testing.TB, text []byte) sample {
	t.Helper()
	s := make(sample)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[cut+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s[line[:cut]] = v
	}
	return s
}

// scrape asks the handler without a server.
func scrape(t testing.TB, m *metrics.Metrics) sample {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return read(t, w.Body.Bytes())
}

// fetch asks a server, as Prometheus does.
func fetch(t testing.TB, srv *perch.Server) []byte {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: wstest.DefaultTimeout}
	resp, err := client.Get("http://" + srv.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(ct, "text/plain; version=0.0.4") {
		t.Fatalf("status %d, %q: %s", resp.StatusCode, ct, body)
	}
	return body
}

// start runs a server whose port serves h at /ws and m at /metrics. It has a room, hall.
func start(t *testing.T, m *metrics.Metrics, cfg perch.Config, h perch.Handler) *perch.Server {
	t.Helper()
	wstest.NoLeaks(t)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	cfg.Addr, cfg.HTTP = "127.0.0.1:0", mux
	srv := perch.New(cfg)
	hall, err := srv.Rooms().Create("hall", room.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.OnOpen = func(c perch.Conn, _ *perch.Request) {
		if _, err := c.Join(hall, room.JoinOptions{}); err != nil {
			t.Error(err)
		}
	}
	srv.Handle("/ws", h)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	m.WatchServer(srv)
	return srv
}

// TestExposition: the metrics of a real server can be parsed, and are named by Prometheus's rules.
func TestExposition(t *testing.T) {
	m := metrics.New()
	m.WatchSessions(session.NewMemory(session.Config{}))
	for _, kind := range []string{"cats", "dogs"} {
		held := ledger.NewAccount(10)
		held.Add(ledger.User("ada"), 4)
		_ = held.Take(ledger.User("ada"), 3)
		m.WatchHeld(kind, held.Stats)
	}
	srv := start(t, m, perch.Config{Loops: 2}, perch.Handler{})
	body := fetch(t, srv)

	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	s := read(t, body)
	for _, name := range []string{
		"perch_connections", "perch_rooms", "perch_sessions", "perch_ping_latency_seconds_count", "go_goroutines",
		"process_open_fds", "process_resident_memory_bytes",
		`perch_connection_closes_total{code="1000"}`, `perch_connection_closes_total{code="1015"}`,
		`perch_connection_closes_total{code="3xxx"}`, `perch_connection_closes_total{code="4xxx"}`,
		`perch_endpoint_messages_total{endpoint="/ws/chat",type="chat_message"}`,
		`perch_endpoint_errors_total{endpoint="/ws/room/{room_id}",kind="room_full"}`,
		`perch_endpoint_errors_total{endpoint="/ws/reliable",kind="timeout"}`,
	} {
		if _, ok := s[name]; !ok {
			t.Errorf("%s is not shown", name)
		}
	}
	for name, want := range map[string]float64{
		"perch_held_bytes": 4, "perch_held_limit_bytes": 10, "perch_held_largest_share_bytes": 4, "perch_held_payers": 1,
		"perch_held_refused_total": 1,
	} {
		for _, kind := range []string{"cats", "dogs"} {
			if got, ok := s[name+`{kind="`+kind+`"}`]; !ok || got != want {
				t.Errorf("%s of %s: %v (shown: %v), want %v", name, kind, got, ok, want)
			}
		}
	}
	// In OpenMetrics a counter's family is its name without _total: no other metric may have that name.
	types := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "perch_") {
			types[f[2]] = f[3]
		}
	}
	for name := range types {
		if base, ok := strings.CutSuffix(name, "_total"); ok && types[base] != "" {
			t.Errorf("%s and the %s %s are one family in OpenMetrics", name, types[base], base)
		}
	}
	if len(types) < 40 {
		t.Errorf("only %d metrics seen", len(types))
	}
}

// TestTraffic: the values fit the actions of the clients.
func TestTraffic(t *testing.T) {
	store, m := session.NewMemory(session.Config{}), metrics.New()
	m.WatchSessions(store)
	srv := start(t, m, perch.Config{Loops: 2}, perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			m.Message("/ws/chat", "chat_message", len(p), 3*time.Millisecond)
			m.Error("/ws/chat", "invalid_json")
			if err := c.Send(op, p); err != nil {
				t.Error(err)
			}
		},
	})
	if _, err := store.Create(context.Background(), session.New{ConnectionID: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create(context.Background(), session.New{}); err != nil {
		t.Fatal(err)
	}

	clients := make([]*wstest.Conn, 4)
	for i := range clients {
		clients[i] = wstest.Dial(t, srv.Addr().String(), "/ws")
		clients[i].Send(wstest.Text("hello"))
		clients[i].ExpectText("hello")
	}
	srv.Rooms().Room("hall").Publish(room.Message{Payload: []byte("all")}, nil)
	for _, c := range clients {
		c.ExpectText("all")
	}
	clients[0].Send(wstest.Ping(""))
	clients[0].ExpectPong("")
	clients[0].CloseHandshake(perch.CloseNormal)
	clients[1].CloseHandshake(4321)
	clients[2].Send(wstest.Frame{Op: perch.Text, Rsv: 4})
	clients[2].ExpectFail(1002)
	wstest.Eventually(t, "three are closed", func() bool { return srv.Stats().Closed == 3 })

	s := read(t, fetch(t, srv))
	for name, want := range map[string]float64{
		"perch_connections_accepted_total":           5, // one of them is the scrape
		"perch_connections_opened_total":             4,
		"perch_connections_closed_total":             3,
		"perch_http_connections_total":               1,
		"perch_handshakes_total":                     5,
		"perch_messages_received_total":              4,
		"perch_messages_sent_total":                  8,
		"perch_pings_received_total":                 1,
		"perch_queue_bytes":                          0,
		`perch_errors_total{kind="protocol"}`:        1,
		`perch_errors_total{kind="panic"}`:           0,
		`perch_connection_closes_total{code="1000"}`: 1,
		`perch_connection_closes_total{code="1002"}`: 1,
		`perch_connection_closes_total{code="4xxx"}`: 1,
		`perch_connection_closes_total{code="3xxx"}`: 0,
		"perch_rooms":                         1,
		"perch_rooms_active":                  1,
		"perch_room_messages_published_total": 1,
		"perch_room_deliveries_total":         4,
		"perch_sessions":                      2,
		"perch_sessions_attached":             1,
		`perch_endpoint_messages_total{endpoint="/ws/chat",type="chat_message"}`:                          4,
		`perch_endpoint_message_bytes_total{endpoint="/ws/chat",type="chat_message"}`:                     20,
		`perch_endpoint_message_seconds_sum{endpoint="/ws/chat",type="chat_message"}`:                     0.012,
		`perch_endpoint_message_seconds_bucket{endpoint="/ws/chat",type="chat_message",le="0.001048576"}`: 0,
		`perch_endpoint_message_seconds_bucket{endpoint="/ws/chat",type="chat_message",le="0.004194304"}`: 4,
		`perch_endpoint_message_seconds_bucket{endpoint="/ws/chat",type="chat_message",le="+Inf"}`:        4,
		`perch_endpoint_errors_total{endpoint="/ws/chat",kind="invalid_json"}`:                            4,
		`perch_endpoint_errors_total{endpoint="/ws/chat",kind="timeout"}`:                                 0,
	} {
		if got, ok := s[name]; !ok || got != want {
			t.Errorf("%s: %v (shown: %v), want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"perch_received_bytes_total", "perch_sent_bytes_total", "perch_tick_seconds_count",
		"perch_tick_seconds_sum", "perch_session_bytes", "perch_room_history_bytes"} {
		if s[name] <= 0 {
			t.Errorf("%s: %v, want more", name, s[name])
		}
	}
}

// TestPingLatency: the engine's own pings are measured.
func TestPingLatency(t *testing.T) {
	m := metrics.New()
	srv := start(t, m, perch.Config{PingInterval: 20 * time.Millisecond}, perch.Handler{})
	c := wstest.Dial(t, srv.Addr().String(), "/ws")
	ping, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	c.Send(wstest.Pong(string(ping.Payload)))
	wstest.Eventually(t, "the pong is in", func() bool { return srv.Stats().PongsReceived == 1 })
	s := scrape(t, m)
	if s["perch_ping_latency_seconds_count"] != 1 || s["perch_ping_latency_seconds_sum"] <= 0 ||
		s[`perch_ping_latency_seconds_bucket{le="+Inf"}`] != 1 || s["perch_pongs_received_total"] != 1 {
		t.Errorf("%v %v", s["perch_ping_latency_seconds_count"], s["perch_ping_latency_seconds_sum"])
	}
}

// TestClientsChooseNoLabel: a thousand unknown types make no series.
func TestClientsChooseNoLabel(t *testing.T) {
	m := metrics.New()
	srv := start(t, m, perch.Config{Rate: perch.Rate{Messages: -1, Burst: -1, Bytes: -1}}, perch.Handler{
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
			m.Message("/ws/safe", string(p), len(p), 0)
			m.Message("/ws/"+string(p), string(p), len(p), 0)
			m.Error("/ws/safe", string(p))
			m.Error(string(p), string(p))
		},
	})
	c := wstest.Dial(t, srv.Addr().String(), "/ws")
	before := scrape(t, m)
	for range 1000 {
		c.Send(wstest.Text(rand.Text()))
	}
	c.Send(wstest.Text("dangerous"), wstest.Text("other"), wstest.Text(""))
	wstest.Eventually(t, "all are in", func() bool { return srv.Stats().MessagesReceived == 1003 })
	after := scrape(t, m)

	// The metrics go_ and process_ may change by themselves.
	names := func(s sample) (all []string) {
		for name := range s {
			if strings.HasPrefix(name, "perch_") {
				all = append(all, name)
			}
		}
		slices.Sort(all)
		return all
	}
	if !slices.Equal(names(before), names(after)) {
		t.Errorf("%d series have become %d", len(names(before)), len(names(after)))
	}
	for name, want := range map[string]float64{
		`perch_endpoint_messages_total{endpoint="/ws/safe",type="dangerous"}`: 1,
		`perch_endpoint_messages_total{endpoint="/ws/safe",type="other"}`:     1002,
		`perch_endpoint_messages_total{endpoint="other",type="other"}`:        1003,
		`perch_endpoint_errors_total{endpoint="/ws/safe",kind="other"}`:       1003,
		`perch_endpoint_errors_total{endpoint="other",kind="other"}`:          1003,
	} {
		if after[name] != want {
			t.Errorf("%s: %v, want %v", name, after[name], want)
		}
	}
}

// TestScrapesAtOnce: while a loop is blocked scrapes wait, however many there are, and none is refused.
func TestScrapesAtOnce(t *testing.T) {
	const many = 50
	m, blocked, released := metrics.New(), make(chan bool), make(chan bool)
	srv := start(t, m, perch.Config{Loops: 1}, perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) {
		blocked <- true
		<-released
	}})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	wstest.Dial(t, srv.Addr().String(), "/ws").Send(wstest.Text("block"))
	wstest.Receive(t, "the loop is blocked", blocked)

	h, codes := m.Handler(), make(chan int, many)
	for range many {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			codes <- w.Code
		}()
	}
	release()
	for range many {
		if code := wstest.Receive(t, "all are served", codes); code != http.StatusOK {
			t.Errorf("a scrape got status %d", code)
		}
	}
}

// TestWatchedTwice: two servers would have the same series.
func TestWatchedTwice(t *testing.T) {
	m := metrics.New()
	m.WatchServer(perch.New(perch.Config{}))
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	m.WatchServer(perch.New(perch.Config{}))
}

// TestLostLines: lost lines of the log are counted.
func TestLostLines(t *testing.T) {
	m := metrics.New()
	m.WatchLog(func() uint64 { return 7 })
	if got := scrape(t, m)["perch_log_lines_lost_total"]; got != 7 {
		t.Errorf("perch_log_lines_lost_total is %v, want 7", got)
	}
}
