//go:build linux

package perch

import (
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/sock"
)

// TestDefaults: what a zero field, −1 and nonsense mean, for every limit there
// is.
func TestDefaults(t *testing.T) {
	const (
		none = int64(math.MaxInt)
		bad  = int64(-9)
	)
	for _, tt := range []struct {
		key        string
		zero, less int64 // what 0 and −1 become; bad: refused
	}{
		{"Loops", 0, bad}, // plan decides
		{"Workers", int64(4 * runtime.GOMAXPROCS(0)), bad},
		{"MaxConnections", 0, -1}, // likewise
		{"MaxConnectionsPerIP", 100, none},
		{"NewConnectionsPerSecond", 1000, none},
		{"MaxMessageSize", 64 << 10, none},
		{"MaxFragments", 1024, none},
		{"MaxOutput", 1 << 20, none},
		{"MaxOutputTotal", 256 << 20, none},
		{"Rate.Messages", 100, none},
		{"Rate.Burst", 200, none},
		{"Rate.Bytes", 1 << 20, none},
		{"HandshakeTimeout", int64(5 * time.Second), 0},
		{"MessageTimeout", int64(30 * time.Second), 0},
		{"CloseTimeout", int64(5 * time.Second), 0},
		{"WriteTimeout", int64(30 * time.Second), 0},
		{"PingInterval", int64(30 * time.Second), 0},
		{"PingTimeout", int64(60 * time.Second), 0},
	} {
		field := func(c *Config) reflect.Value {
			v := reflect.ValueOf(c).Elem()
			for name := range strings.SplitSeq(tt.key, ".") {
				v = v.FieldByName(name)
			}
			return v
		}
		for in, want := range map[int64]int64{0: tt.zero, -1: tt.less, -2: bad, math.MinInt64: bad, 45e9: 45e9} {
			if in == 45e9 && (tt.key == "Loops" || tt.key == "Workers") {
				want = bad
			}
			var c Config
			field(&c).SetInt(in)
			got, err := c.withDefaults()
			switch {
			case want == bad && (err == nil || !strings.Contains(err.Error(), tt.key+":")):
				t.Errorf("%s: %d: error %v, want one that names the key", tt.key, in, err)
			case want != bad && err != nil:
				t.Errorf("%s: %d: %v", tt.key, in, err)
			case want != bad && field(&got).Int() != want:
				t.Errorf("%s: %d becomes %d, want %d", tt.key, in, field(&got).Int(), want)
			}
		}
	}
	c, err := Config{}.withDefaults()
	if err != nil || c.Addr != "127.0.0.1:8000" || c.Logger == nil {
		t.Errorf("%+v, %v", c, err)
	}
	again, err := Config{PingInterval: 20 * time.Second, PingTimeout: 20 * time.Second}.withDefaults()
	if err == nil || !strings.Contains(err.Error(), "PingTimeout") {
		t.Errorf("a timeout that no ping comes before: %+v, %v", again, err)
	}
	if _, err := (Config{Workers: -3, MaxOutput: -4}).withDefaults(); err == nil || !strings.Contains(err.Error(), "Workers") || !strings.Contains(err.Error(), "MaxOutput") {
		t.Errorf("two faults: %v", err)
	}
	if err := New(Config{Workers: -3}).Start(); err == nil || !strings.Contains(err.Error(), "Workers") {
		t.Errorf("Start: %v", err)
	}
}

// TestSettings: a route's settings over the server's.
func TestSettings(t *testing.T) {
	server := Config{
		MaxMessageSize: 1000, MaxFragments: -1, PingInterval: -1, PingTimeout: 50 * time.Second,
		Rate: Rate{Messages: 7, Burst: -1}, Origins: []string{"http://a.test"},
	}
	c, err := server.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	const none = math.MaxInt
	for _, tt := range []struct {
		name     string
		in, want Settings
	}{
		{"zero", Settings{}, Settings{MaxMessageSize: 1000, MaxFragments: none, PingTimeout: 50 * time.Second, Rate: Rate{7, none, 1 << 20}}},
		{"none", Settings{MaxMessageSize: -1, MaxFragments: -1, PingInterval: -1, PingTimeout: -1, Rate: Rate{-1, -1, -1}},
			Settings{MaxMessageSize: none, MaxFragments: none, Rate: Rate{none, none, none}}},
		{"own", Settings{MaxMessageSize: 5, MaxFragments: 6, PingInterval: time.Second, PingTimeout: 2 * time.Second, Rate: Rate{1, 2, 3}},
			Settings{MaxMessageSize: 5, MaxFragments: 6, PingInterval: time.Second, PingTimeout: 2 * time.Second, Rate: Rate{1, 2, 3}}},
	} {
		tt.want.Origins = c.Origins
		if got, err := tt.in.resolve(&c); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
	if got, err := (Settings{Origins: []string{}}).resolve(&c); err != nil || len(got.Origins) != 0 {
		t.Errorf("origins %v, %v: an empty list is not the server's", got.Origins, err)
	}
	for _, s := range []Settings{{MaxMessageSize: -2}, {MaxFragments: -2}, {PingInterval: -2}, {PingTimeout: -2}, {Rate: Rate{Messages: -2}}, {PingInterval: time.Hour, PingTimeout: time.Hour}} {
		if got, err := s.resolve(&c); err == nil {
			t.Errorf("%+v is accepted, as %+v", s, got)
		}
	}
}

// TestPlan: how many loops and connections come out.
func TestPlan(t *testing.T) {
	limit := sock.DescriptorLimit()
	shared := func(loops int) int { return limit - sharedReserve(loops, 0, limit) }
	for _, tt := range []struct {
		name        string
		in          Config
		loops, most int
	}{
		{"zero", Config{}, runtime.GOMAXPROCS(0), shared(runtime.GOMAXPROCS(0))},
		{"three loops", Config{Loops: 3}, 3, shared(3)},
		{"all there are", Config{Loops: 1, MaxConnections: -1}, 1, shared(1)},
		{"a limit", Config{Loops: 1, MaxConnections: 10}, 1, 10},
		{"as many as fit", Config{Loops: 1, MaxConnections: shared(1)}, 1, shared(1)},
	} {
		c, err := tt.in.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		srv := &Server{cfg: c, log: c.Logger, ctx: t.Context()}
		srv.plan()
		if srv.cfg.Loops != tt.loops || srv.maxConnections != tt.most || srv.cfg.PrivateFDs {
			t.Errorf("%s: %d loops, %d connections, private tables %v; want %d, %d", tt.name, srv.cfg.Loops, srv.maxConnections, srv.cfg.PrivateFDs, tt.loops, tt.most)
		}
	}
	if n := sharedReserve(2, 100, 8); n > 2 {
		t.Errorf("of 8 descriptors %d are reserved", n)
	}

	// More than one table holds: private ones, or the limit if the system refuses.
	perLoop := limit - sock.PrivateReserve
	c, err := Config{MaxConnections: 2 * limit}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{cfg: c, log: c.Logger, ctx: t.Context()}
	srv.plan()
	if !srv.cfg.PrivateFDs {
		if most := shared(srv.cfg.Loops); srv.maxConnections != most {
			t.Errorf("without private tables %d connections, want %d", srv.maxConnections, most)
		}
		return
	}
	if srv.maxConnections != 2*limit || srv.cfg.Loops*perLoop < 2*limit*11/10 || (srv.cfg.Loops-1)*perLoop >= 2*limit*11/10 && srv.cfg.Loops > runtime.GOMAXPROCS(0) {
		t.Errorf("%d loops for %d connections of %d each", srv.cfg.Loops, srv.maxConnections, perLoop)
	}
}
