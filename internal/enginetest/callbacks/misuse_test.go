//go:build linux

package callbacks_test

import (
	"iter"
	"reflect"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// anywhere are the methods of a Conn that touch nothing of the loop.
var anywhere = map[string]bool{"Ref": true, "ID": true, "Member": true}

// trouble calls a method of c with zero arguments and returns what it panics with.
func trouble(c perch.Conn, method int) (p any) {
	defer func() { p = recover() }()
	m := reflect.ValueOf(c).Method(method)
	var args []reflect.Value
	for i := range m.Type().NumIn() {
		args = append(args, reflect.Zero(m.Type().In(i)))
	}
	m.Call(args)
	return nil
}

// A Conn that is used outside of its loop panics there, in every build, before it has
// touched anything: during the callback and after it, whichever method.
func TestConnOutsideItsCallback(t *testing.T) {
	const want = "perch: Conn used outside its callback; keep Ref"
	conns := make(chan perch.Conn, 1)
	h := enginetest.Echo()
	misuse := func(t *testing.T, c perch.Conn) {
		var all sync.WaitGroup
		for i := range reflect.TypeFor[perch.Conn]().NumMethod() {
			all.Go(func() {
				name := reflect.TypeFor[perch.Conn]().Method(i).Name
				switch p := trouble(c, i); {
				case anywhere[name] && p != nil, !anywhere[name] && p != any(want):
					t.Errorf("%s: panic %v", name, p)
				}
			})
		}
		all.Wait()
	}
	h.OnOpen = func(c perch.Conn, _ *perch.Request) {
		conns <- c
		misuse(t, c) // while its event is under way
	}
	srv := enginetest.StartRoute(t, perch.Config{Loops: 2}, h)
	c := enginetest.Dial(t, srv)
	conn := wstest.Receive(t, "OnOpen", conns)
	misuse(t, conn)
	c.Send(wstest.Text("unharmed"))
	c.ExpectText("unharmed")

	// On its loop all is well: in another connection's callback, and in a coroutine.
	if err := enginetest.Inside(t, conn.Ref(), func(perch.Conn) error {
		next, stop := iter.Pull(func(yield func(error) bool) { yield(conn.SendText("from a coroutine")) })
		defer stop()
		err, _ := next()
		return err
	}); err != nil {
		t.Error(err)
	}
	c.ExpectText("from a coroutine")
	c.CloseHandshake(perch.CloseNormal)
	wstest.Eventually(t, "it is gone", conn.Ref().Closed)
	misuse(t, conn)
}
