//go:build linux

package lifecycle_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// numbers calls f with every number of a struct, those of structs in it included, and
// the name that errors have for it.
func numbers(v reflect.Value, prefix string, f func(name string, v reflect.Value)) {
	for i := range v.NumField() {
		field, name := v.Field(i), prefix+v.Type().Field(i).Name
		switch {
		case !v.Type().Field(i).IsExported():
		case field.CanInt():
			f(name, field)
		case field.Kind() == reflect.Struct:
			numbers(field, name+".", f)
		}
	}
}

// Every number of the configuration at its extremes: Start refuses it by its name, or
// the server serves.
func TestConfigExtremes(t *testing.T) {
	var names []string
	numbers(reflect.ValueOf(&perch.Config{}).Elem(), "", func(name string, _ reflect.Value) { names = append(names, name) })
	if len(names) < 30 {
		t.Fatalf("only %d numbers: %v", len(names), names)
	}
	for _, name := range names {
		for _, n := range []int64{math.MinInt64, -2, -1, 1, 1 << 33, math.MaxInt64 - 1, math.MaxInt64} {
			cfg := perch.Config{Addr: "127.0.0.1:0", Loops: 1, Workers: 1}
			if name == "MaxConnections" {
				cfg.Loops = 0 // as many as that needs
			}
			duration := false
			numbers(reflect.ValueOf(&cfg).Elem(), "", func(field string, v reflect.Value) {
				if field == name {
					if v.OverflowInt(n) {
						n = math.MaxUint32
					}
					if v.CanInt() {
						v.SetInt(n)
					}
					duration = v.Type() == reflect.TypeFor[time.Duration]()
				}
			})
			srv := perch.New(cfg)
			srv.HandleBlocking("/blocking", perch.BlockingHandler{})
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("%s: %d: panic: %v", name, n, p)
					}
				}()
				srv.Handle("/ws", enginetest.Echo())
			}()
			if err := srv.Start(); err != nil {
				if last := name[strings.LastIndex(name, ".")+1:]; !strings.Contains(err.Error(), last) {
					t.Errorf("%s: %d: the error does not name it: %v", name, n, err)
				}
				continue
			}
			if !duration || n > int64(time.Second) || n == -1 {
				c := wstest.Dial(t, srv.Addr().String(), "/ws")
				c.Send(wstest.Text("x"))
				if got, err := c.Next(); err != nil || string(got.Payload) != "x" {
					t.Errorf("%s: %d: %v, %v", name, n, got, err)
				}
			}
			srv.Close()
		}
	}
}
