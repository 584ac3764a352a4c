package endpoint

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// world is a server with the endpoints on a free port, and its parts. Only later moves its clock.
type world struct {
	t     *testing.T
	srv   *perch.Server
	realm *Realm
	store *session.Memory
	key   auth.Key
	meter meter
	log   lines
	clock *clock.Manual
}

// newWorld starts a world. prepare may change the Config, routes may add to the server; both may be nil.
func newWorld(t *testing.T, prepare func(w *world, c *Config), routes func(w *world)) *world {
	t.Helper()
	return newWorldOf(t, room.Config{}, prepare, routes)
}

// newWorldOf is newWorld with a configuration of rooms.
func newWorldOf(t *testing.T, rooms room.Config, prepare func(w *world, c *Config), routes func(w *world)) *world {
	t.Helper()
	rooms.Looks = label.Looks
	wstest.NoLeaks(t)
	w := &world{t: t}
	w.clock = clock.NewManual(time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC))
	w.store = session.NewMemory(session.Config{Clock: w.clock})
	var err error
	if w.key, err = auth.SecretKey("", bytes.Repeat([]byte("k"), 32)); err != nil {
		t.Fatal(err)
	}
	w.srv = perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2, Rooms: rooms})
	c := Config{
		Sessions: w.store, Cookie: "perch_token", Meter: &w.meter, Clock: w.clock, Find: w.srv.Find,
		Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if prepare != nil {
		prepare(w, &c)
	}
	if c.Auth == nil {
		c.Auth, err = auth.New(auth.Config{Keys: []auth.Key{w.key}, Leeway: -1, Clock: w.clock})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.realm = New(c)
	Mount(w.srv, w.realm, nil)
	if routes != nil {
		routes(w)
	}
	if err := w.srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.srv.Close()
		w.realm.Close()
		c.Auth.Close()
	})
	return w
}

func required(_ *world, c *Config) { c.Required = true }

// token makes a token for a subject that is good for a time.
func (w *world) token(subject string, d time.Duration) string {
	w.t.Helper()
	token, err := w.key.Sign(auth.Claims{Subject: subject, Expires: w.clock.Wall().Add(d)})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// later moves the clock.
func (w *world) later(d time.Duration) { w.clock.Advance(d) }

// meter is a Meter that remembers. Any goroutine may call it.
type meter struct {
	mu       sync.Mutex
	messages []string // endpoint and type
	errors   []string // endpoint and kind
}

func (m *meter) Message(endpoint, typ string, _ int, _ time.Duration) {
	m.mu.Lock()
	m.messages = append(m.messages, endpoint+" "+typ)
	m.mu.Unlock()
}

func (m *meter) Error(endpoint, kind string) {
	m.mu.Lock()
	m.errors = append(m.errors, endpoint+" "+kind)
	m.mu.Unlock()
}

// saw waits until a message, or an error, was reported.
func (m *meter) saw(t testing.TB, what string) {
	t.Helper()
	wstest.Eventually(t, what+" is metered", func() bool { return m.knows(what) })
}

func (m *meter) knows(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.messages, what) || slices.Contains(m.errors, what)
}

// lines are the lines logged. Any goroutine may use them.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.buf.Bytes(), []byte(s))
}

// peer is a client that speaks JSON.
type peer struct {
	*wstest.Conn
	t testing.TB
}

func (w *world) dial(target string, headers ...string) peer {
	w.t.Helper()
	return peer{wstest.Dial(w.t, w.srv.Addr().String(), target, headers...), w.t}
}

func (p peer) say(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		p.Send(wstest.Text(m))
	}
}

// fields is an object of JSON.
type fields map[string]any

// hear reads the next message, a JSON object.
func (p peer) hear() fields {
	p.t.Helper()
	op, text := p.NextMessage()
	if op != frame.OpText {
		p.t.Fatalf("got %v %q, want text", op, text)
	}
	return parsed(p.t, text)
}

// parsed parses a JSON object.
func parsed(t testing.TB, text []byte) (f fields) {
	t.Helper()
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatalf("got %q: %v", text, err)
	}
	return f
}

// expect reads the next message, which must be exactly this object, and returns it.
func (p peer) expect(want string) fields {
	p.t.Helper()
	got := p.hear()
	if !like(got, parsed(p.t, []byte(want))) {
		g, _ := json.Marshal(got)
		p.t.Fatalf("got  %s\nwant %s", g, want)
	}
	return got
}

// like compares values of JSON; "*" matches any.
func like(got, want any) bool {
	switch w := want.(type) {
	case fields:
		g, ok := got.(fields)
		return ok && likeObject(g, w)
	case map[string]any:
		g, ok := got.(map[string]any)
		return ok && likeObject(g, w)
	}
	if want == "*" {
		return true
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	return bytes.Equal(a, b)
}

func likeObject(got, want map[string]any) bool {
	for name, w := range want {
		if g, ok := got[name]; !ok || !like(g, w) {
			return false
		}
	}
	return len(got) == len(want)
}

// closed expects the server to close next, with this code and reason.
func (p peer) closed(code frame.CloseCode, reason string) {
	p.t.Helper()
	if got := p.AnswerClose(code); got != reason {
		p.t.Errorf("closed with %v %q, want %q", code, got, reason)
	}
}

// timestamp is the time of the clock as messages have it.
const timestamp = `"2030-01-02T03:04:05.006Z"`

func TestDefaults(t *testing.T) {
	r := New(Config{})
	defer r.Close()
	if r.cfg.FirstFrame != 10*time.Second || r.cfg.MaxErrors != 10 {
		t.Errorf("first frame %v, errors %d", r.cfg.FirstFrame, r.cfg.MaxErrors)
	}
	if ref := r.cfg.Find(perch.ID{}); ref != (perch.Ref{}) {
		t.Error("Find finds a connection")
	}
	if resp := r.cfg.Upgrade(nil); resp.Status != 0 {
		t.Error("Upgrade refuses")
	}
	if d := time.Since(r.Now()); d < 0 || d > time.Minute {
		t.Errorf("the clock is %v behind", d)
	}
}

// TestBare: a Config with only the required fields works.
func TestBare(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { *c = Config{Sessions: c.Sessions} }, nil)
	c, key := w.begin("")
	c.say(`{"type":"x"}`, `{`)
	c.expect(`{"type":"ack","message_id":"*","timestamp":"*"}`)
	c.expect(`{"type":"error","code":"invalid_json","message":"*"}`)
	next, _ := w.begin("")
	next.resumed("session", key, true) // the old connection is not found, and stays
	c.say(`{"type":"x"}`)
	c.hear()
}

// TestClientSize: of SPEC's bound for an idle client, this package may use so much.
func TestClientSize(t *testing.T) {
	if n := unsafe.Sizeof(Client{}); n > 64 {
		t.Errorf("a Client is %d bytes", n)
	}
	if n := unsafe.Sizeof(alarm{}); n > 32 {
		t.Errorf("an alarm is %d bytes", n)
	}
}

// TestUpgrade: Config.Upgrade is asked first, and every endpoint accepts perch.v1.
func TestUpgrade(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) {
		c.Upgrade = func(r *perch.Request) perch.Response {
			if r.Header("X-Refuse") != "" {
				return perch.Reject(403, "not here")
			}
			return perch.Response{}
		}
	}, nil)
	for _, target := range []string{"/ws/safe", "/ws/monitored?client_id=a", "/ws/with-session", "/ws/reliable?client_id=a", "/ws/7"} {
		c := wstest.Connect(t, w.srv.Addr().String())
		c.Write(wstest.Request("x", target, "X-Refuse: 1"))
		if r := c.ReadResponse(); r.Status != 403 {
			t.Errorf("%s: status %d, want 403", target, r.Status)
		}
		c = wstest.Connect(t, w.srv.Addr().String())
		c.Write(wstest.Request("x", target, "Sec-WebSocket-Protocol: other, perch.v1"))
		if r := c.ReadResponse(); r.Status != 101 || r.Header("Sec-WebSocket-Protocol") != "perch.v1" {
			t.Errorf("%s: status %d, subprotocol %q", target, r.Status, r.Header("Sec-WebSocket-Protocol"))
		}
		c.Close()
	}
}
