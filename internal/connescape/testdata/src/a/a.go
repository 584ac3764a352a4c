package a

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perchws/perch"
)

type hub struct {
	conns map[perch.Conn]bool // want `as a key of a map`
	one   perch.Conn          // want `in a field of a struct`
	some  *perch.Conn         // want `in a field of a struct`
	ids   map[int]perch.Conn  // want `in a map`
	all   []perch.Conn        // want `in a slice`
	ch    chan perch.Conn     // want `in a channel`
	set   set[perch.Conn]     // want `in a generic type`
	any   any
	refs  map[perch.Ref]bool
	then  func()
}

type embedded struct {
	perch.Conn // want `in a field of a struct`
}

type alias = perch.Conn

type set[T comparable] map[T]bool

var last perch.Conn // want `in a variable of the package`
var latest any
var aliased alias // want `in a variable of the package`

func use(perch.Conn)       {}
func run(f func())         { f() }
func later(f func() error) {}

func handlers(h *hub, m *sync.Map, wg *sync.WaitGroup, other perch.Ref) perch.Handler {
	return perch.Handler{
		OnOpen: func(c perch.Conn) {
			go c.Send(nil) // want `whose method is run on another goroutine`
			go use(c)      // want `given to another goroutine`
			go run(func() {
				c.Send(nil) // want `captured by a function that is given to another goroutine`
			})
			go func() {
				c.Send(nil) // want `captured by a function that is run on another goroutine`
			}()
			go func(r perch.Ref) { r.Send(nil) }(c.Ref())
			other.Do(func(o perch.Conn) {
				o.Send(nil)
				c.Send(nil) // want `captured by a function that is run later`
			})
			time.AfterFunc(time.Second, func() { c.Send(nil) })             // want `captured by a function that is run later`
			context.AfterFunc(context.Background(), func() { c.Send(nil) }) // want `captured by a function that is run later`
			wg.Go(func() { c.Send(nil) })                                   // want `captured by a function that is run later`
			h.then = func() { c.Send(nil) }                                 // want `captured by a function that is stored`
			h.any = c                                                       // want `stored`
			latest = c                                                      // want `stored`
			m.Store(c, 1)                                                   // want `kept by Store`
			list.New().PushBack(c)                                          // want `kept by PushBack`
			c.SetValue(c)                                                   // want `kept by SetValue`
			_ = context.WithValue(context.Background(), 1, c)               // want `kept by WithValue`
			_ = []any{c}                                                    // want `stored`
			_ = perch.Handler{OnOpen: func(perch.Conn) { c.Send(nil) }}     // want `captured by a function that is stored`
			boxes := make(chan any, 1)
			boxes <- c // want `sent on a channel`
		},
		OnMessage: func(c perch.Conn, p []byte) {
			use(c)
			run(func() { c.Send(p) })
			fmt.Println(c)
			d := c
			d.Send(p)
			h.refs[c.Ref()] = true
			c.Ref().Do(func(c perch.Conn) { c.Send(p) })
			func() { c.Send(p) }()
			defer c.Send(p)
			conns := []perch.Conn{c} //perchvet:ok it ends with the callback
			use(conns[0])
			//perchvet:ok a reason on another line is none
			_ = make(map[perch.Conn]int) // want `as a key of a map`
		},
	}
}

func same(c perch.Conn) perch.Conn {
	return c // want `returned`
}

func closure(c perch.Conn) func() {
	return func() { c.Send(nil) } // want `captured by a function that is returned`
}

func method(c perch.Conn) func([]byte) error {
	return c.Send // want `whose method is returned`
}
