package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perchws/perch"
)

// show returns the exposition of one collector.
func show(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	return w.Body.String()
}

// changed returns the lines of b that a does not have.
func changed(a, b string) (lines []string) {
	had := make(map[string]bool)
	for line := range strings.Lines(a) {
		had[line] = true
	}
	for line := range strings.Lines(b) {
		if !had[line] {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestEveryField sets each field of a snapshot alone: exactly one metric must change, and not the same one for two
// fields.
func TestEveryField(t *testing.T) {
	t.Run("server", func(t *testing.T) { everyField(t, serverMetrics()) })
	t.Run("rooms", func(t *testing.T) { everyField(t, roomMetrics()) })
	t.Run("sessions", func(t *testing.T) { everyField(t, sessionMetrics()) })
}

func everyField[S any](t *testing.T, metrics []metric[S]) {
	var s S
	c := newCollector(func() S { return s }, metrics)
	zero := show(t, c)
	moves := make(map[string]string) // series to the field that changes it
	check := func(field, value string) {
		t.Helper()
		lines := changed(zero, show(t, c))
		if len(lines) != 1 || !strings.HasSuffix(lines[0], " "+value) {
			t.Errorf("%s moves %q, want one to %s", field, lines, value)
			return
		}
		series, _, _ := strings.Cut(lines[0], " ")
		if before := moves[series]; before != "" {
			t.Errorf("%s and %s both move %s", before, field, series)
		}
		moves[series] = field
	}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		switch x := field.Addr().Interface().(type) {
		case *int:
			*x = 7
			check(name, "7")
		case *int64:
			*x = 7
			check(name, "7")
		case *uint64:
			*x = 7
			check(name, "7")
		case *perch.Histogram:
			x.Sum = 1500 * time.Millisecond
			check(name, "1.5")
		default:
			if field.Kind() != reflect.Array || field.Type().Elem().Kind() != reflect.Uint64 {
				t.Errorf("%s: the test cannot set a %s", name, field.Type())
			}
			for j := range field.Len() {
				field.Index(j).SetUint(7)
				check(fmt.Sprintf("%s[%d]", name, j), "7")
				field.Index(j).SetZero()
			}
		}
		field.SetZero()
	}
	if len(moves) < len(metrics) {
		t.Errorf("%d metrics, only %d are moved by a field", len(metrics), len(moves))
	}
}

// TestBounds: a bucket counts all values below its bound, whichever buckets are shown.
func TestBounds(t *testing.T) {
	h := perch.Histogram{Count: 15, Sum: 2500 * time.Millisecond}
	h.Buckets[0], h.Buckets[10], h.Buckets[11], h.Buckets[13], h.Buckets[14], h.Buckets[39] = 1, 2, 3, 4, 0, 5
	for _, tt := range []struct {
		bounds bounds
		want   []string
	}{
		{bounds{10, 12, 1}, []string{`x_bucket{le="1.024e-06"} 3`, `x_bucket{le="2.048e-06"} 6`, `x_bucket{le="4.096e-06"} 6`}},
		{bounds{9, 15, 3}, []string{`x_bucket{le="5.12e-07"} 1`, `x_bucket{le="4.096e-06"} 6`, `x_bucket{le="3.2768e-05"} 10`}},
		{bounds{30, 30, 1}, []string{`x_bucket{le="1.073741824"} 10`}},
	} {
		c := newCollector(func() perch.Histogram { return h }, []metric[perch.Histogram]{
			histogram("x", "X.", tt.bounds, func(h *perch.Histogram) *perch.Histogram { return h }),
		})
		want := append([]string{"# HELP x X.", "# TYPE x histogram"}, tt.want...)
		want = append(want, `x_bucket{le="+Inf"} 15`, "x_sum 2.5", "x_count 15")
		if got := strings.TrimSpace(show(t, c)); got != strings.Join(want, "\n") {
			t.Errorf("%v:\n%s", tt.bounds, got)
		}
	}
}
